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
    /// A database, schema, keyspace or catalog name. It is always quoted by the engine's own rules.
    DatabaseName, r"^[A-Za-z_][A-Za-z0-9_$-]*$", 64
);
checked_text!(
    /// The key of an object in the bucket, relative to it.
    ObjectKey, r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", 512
);
