//! Names that mean something: what a reference, a query and a metric may be called.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $pattern:expr, $longest:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "minLength": 1, "maxLength": $longest})
            }
        }
    };
}

checked_text!(
    /// The name of a Kubernetes object in the same namespace (DNS-1123 subdomain).
    ObjectName, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", 253
);
checked_text!(
    /// The name of a query, as its `-- @name:` line in the workload gives it. It becomes part of a metric's name.
    QueryName, r"^[A-Za-z_][A-Za-z0-9_]*$", 64
);
checked_text!(
    /// A short lower-case name within one plan: of a stage, an invariant, a fault (DNS-1123 label).
    Label, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", 63
);
checked_text!(
    /// The name of a parameter that queries use as `:name`.
    ParameterName, r"^[A-Za-z_][A-Za-z0-9_]*$", 64
);
checked_text!(
    /// `host` or `host:port` of the system under test: a DNS name, an IPv4 address or a bracketed IPv6 address. No scheme, no options.
    Endpoint, r"^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$", 260
);
checked_text!(
    /// A database, schema, keyspace or catalog name, or a catalog and a schema with a dot between them. It is always quoted by the engine's own rules.
    DatabaseName, r"^[A-Za-z_][A-Za-z0-9_$-]*([.][A-Za-z_][A-Za-z0-9_$-]*)?$", 64
);
checked_text!(
    /// The key of an object in the bucket, relative to it.
    ObjectKey, r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", 512
);
checked_text!(
    /// A place of object storage as another system names it: a scheme and a bucket, with or without folders, without a slash at its end.
    StorageLocation, r"^[a-z][a-z0-9]*://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)*$", 512
);
checked_text!(
    /// The key of a Kubernetes label: a name, with or without a DNS prefix.
    LabelKey, r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", 317
);
checked_text!(
    /// The value of a Kubernetes label.
    LabelValue, r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", 63
);
checked_text!(
    /// `host` or `host:port` of a machine that runs chaosd: a DNS name or an IPv4 address. No scheme, no path.
    MachineAddress, r"^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?$", 260
);
checked_text!(
    /// An address, a block of addresses or a host name outside the cluster.
    ExternalTarget, r"^[A-Za-z0-9]([-A-Za-z0-9.:]*[A-Za-z0-9])?(/[0-9]{1,3})?$", 253
);
checked_text!(
    /// One number with one unit, as Chaos Mesh reads it: `100ms`, `1.5s`.
    Span, r"^[0-9]{1,9}(\.[0-9]{1,3})?(ns|us|ms|s|m|h)$", 16
);
checked_text!(
    /// A time span that may go backwards: `-10m`, `1.5h`, `2h45m`.
    Offset, r"^-?([0-9]{1,9}(\.[0-9]{1,3})?(ns|us|ms|s|m|h))+$", 32
);
checked_text!(
    /// A percentage as a text: `25` or `12.5`.
    Percentage, r"^(100|[0-9]{1,2}(\.[0-9]{1,3})?)$", 8
);
checked_text!(
    /// Bandwidth with its unit: `1mbps` is a megabyte per second, `8mbit` the same in bits.
    Bandwidth, r"^[0-9]{1,9}(\.[0-9]{1,3})?(bit|kbit|mbit|gbit|tbit|bps|kbps|mbps|gbps|tbps)$", 20
);
checked_text!(
    /// An amount of memory or disk, with its unit or as a share: `256MB`, `1GiB`, `50%`.
    Amount, r"^[0-9]{1,12}(%|B|[KMGT]i?B|[KMGT])$", 20
);
checked_text!(
    /// An absolute path without `..`.
    FilePath, r"^/([A-Za-z0-9_*?-][A-Za-z0-9_.*?-]*(/[A-Za-z0-9_*?-][A-Za-z0-9_.*?-]*)*)?/?$", 256
);
checked_text!(
    /// A network interface.
    Device, r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$", 15
);
checked_text!(
    /// A pattern of domain names: `?` stands for one character, `*` at the end for any.
    DomainPattern, r"^[A-Za-z0-9?_-][A-Za-z0-9?_.-]*[*]?$", 253
);
checked_text!(
    /// The name or number of a process.
    ProcessName, r"^[A-Za-z0-9_][A-Za-z0-9_. -]*$", 64
);
checked_text!(
    /// A text without control characters.
    PlainText, r"^[^\x00-\x1f\x7f]*$", 1024
);
checked_text!(
    /// The name of an HTTP header or of a parameter in a path.
    HttpName, r"^[A-Za-z0-9_.-]+$", 128
);
checked_text!(
    /// The method of an HTTP request.
    HttpMethod, r"^[A-Z]+$", 10
);
checked_text!(
    /// One line of text without control characters.
    OneLine, r"^[^\x00-\x1f\x7f]+$", 128
);
checked_text!(
    /// An `http` or `https` address without user, password and fragment.
    HttpUrl, r"^https?://([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?([/?][!-\x22$-~]*)?$", 1024
);
checked_text!(
    /// The name of a run for results and for clients outside Kubernetes: `{plan}_{YYYYMMDD-HHmm}_{8 hex digits}`.
    RunId, r"^[A-Za-z0-9_.-]+_[0-9]{8}-[0-9]{4}_[0-9a-f]{8}$", 300
);
checked_text!(
    /// The name of a table's column. It is always quoted by the engine's own rules.
    ColumnName, r"^[^\x00-\x1f\x7f`\x22]+$", 64
);
checked_text!(
    /// The type of a column in the words of a database, with its nullability: `decimal(15,2)`, `varchar(25) not null`.
    SqlType, r"^[A-Za-z][A-Za-z0-9_]*( [A-Za-z]+)*( ?\([0-9]{1,4}(, ?[0-9]{1,4})?\))?( [A-Za-z]+)*$", 64
);
checked_text!(
    /// The name of a dataset in the bucket, or of one of its files.
    FixtureName, r"^[A-Za-z0-9]([A-Za-z0-9_-]|\.[A-Za-z0-9_-])*$", 128
);
