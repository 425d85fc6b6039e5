//! The SQL that the two engines are asked with. Names are quoted by their own rules; nothing else comes from outside.

use crucible_lifecycle::{build::names::short_hash, contract::TableRecipe, fixture::Comment};

use super::{
    tally::{Sum, sum_of},
    text::Reader,
    value::{Class, Column, Kind, Slot, TargetColumn},
};

/// Which SQL is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Mysql,
    Postgres,
}

/// The table that is filled before it takes the place of the one that is meant.
pub fn beside(table: &str) -> String {
    format!("crucible_new_{}", short_hash(table, 12))
}

/// The table that was replaced, for the moment until it is dropped.
pub fn aside(table: &str) -> String {
    format!("crucible_old_{}", short_hash(table, 12))
}

/// The table that keeps the rows of another as they were loaded.
pub fn kept(table: &str) -> String {
    format!("crucible_kept_{}", short_hash(table, 12))
}

impl Dialect {
    /// Who reads text on the other side.
    pub const fn reader(self) -> Reader {
        match self {
            Self::Mysql => Reader::Mysql,
            Self::Postgres => Reader::Postgres,
        }
    }

    pub fn name(self, name: &str) -> String {
        match self {
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
            Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    pub fn literal(self, text: &str) -> String {
        let text = text.replace('\'', "''");
        match self {
            Self::Mysql => format!("'{}'", text.replace('\\', "\\\\")),
            Self::Postgres => format!("'{text}'"),
        }
    }

    /// Answers one row with the table's comment, or no row where there is no table.
    pub fn comment(self, table: &str) -> String {
        match self {
            Self::Mysql => {
                format!("SELECT table_comment FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = {}", self.literal(table))
            }
            Self::Postgres => {
                let named = self.literal(&self.name(table));
                format!("SELECT COALESCE(obj_description(to_regclass({named})::oid, 'pg_class'), '') WHERE to_regclass({named}) IS NOT NULL")
            }
        }
    }

    pub fn set_comment(self, table: &str, comment: &Comment) -> String {
        let (name, comment) = (self.name(table), self.literal(&comment.to_string()));
        match self {
            Self::Mysql => format!("ALTER TABLE {name} COMMENT = {comment}"),
            Self::Postgres => format!("COMMENT ON TABLE {name} IS {comment}"),
        }
    }

    /// Takes the right to fill a table; answers `1` where it is had.
    pub fn lock(self, database: &str, table: &str) -> String {
        let what = short_hash(&format!("{database}.{table}"), 15);
        match self {
            Self::Mysql => format!("SELECT GET_LOCK('crucible/{what}', 5)"),
            // Fifteen hex digits are a positive bigint.
            Self::Postgres => format!("SELECT CASE WHEN pg_try_advisory_lock({}) THEN 1 ELSE 0 END", i64::from_str_radix(&what, 16).unwrap_or_default()),
        }
    }

    pub fn unlock(self, database: &str, table: &str) -> String {
        let what = short_hash(&format!("{database}.{table}"), 15);
        match self {
            Self::Mysql => format!("SELECT RELEASE_LOCK('crucible/{what}')"),
            Self::Postgres => format!("SELECT pg_advisory_unlock({})", i64::from_str_radix(&what, 16).unwrap_or_default()),
        }
    }

    pub fn drop(self, table: &str) -> String {
        format!("DROP TABLE IF EXISTS {}", self.name(table))
    }

    /// An empty table with the columns and keys of another.
    pub fn create_like(self, table: &str, of: &str) -> Vec<String> {
        let (name, of, comment) = (self.name(table), self.name(of), self.set_comment(table, &Comment::Loading));
        match self {
            Self::Mysql => vec![format!("CREATE TABLE {name} LIKE {of}"), comment],
            Self::Postgres => vec![format!("CREATE TABLE {name} (LIKE {of} INCLUDING ALL); {comment}")],
        }
    }

    /// Takes the rows of another table, column by column.
    pub fn copy(self, table: &str, of: &str, columns: &[&str]) -> String {
        let columns: Vec<String> = columns.iter().map(|column| self.name(column)).collect();
        let columns = columns.join(", ");
        format!("INSERT INTO {} ({columns}) SELECT {columns} FROM {}", self.name(table), self.name(of))
    }

    /// An empty table with these columns that says from its first moment that it is being filled.
    pub fn create_loading(self, table: &str, columns: &str) -> String {
        let name = self.name(table);
        match self {
            Self::Mysql => format!("CREATE TABLE {name} ({columns}) CHARACTER SET utf8mb4 COMMENT = {}", self.literal(&Comment::Loading.to_string())),
            Self::Postgres => format!("CREATE TABLE {name} ({columns}); {}", self.set_comment(table, &Comment::Loading)),
        }
    }

    /// An empty table as the recipe and the files say.
    pub fn create(self, table: &str, recipe: &TableRecipe, columns: &[Column]) -> Result<Vec<String>, String> {
        let mut parts = Vec::with_capacity(columns.len() + 1);
        if let Some(unknown) = recipe
            .columns
            .iter()
            .map(|column| &*column.name)
            .chain(recipe.primary_key.iter().map(String::as_str))
            .find(|name| !columns.iter().any(|column| column.name == **name))
        {
            return Err(format!("the files have no column {unknown}, which the fixture names"));
        }
        for column in columns {
            let said = recipe.columns.iter().find(|said| *said.name == *column.name).map(|said| said.sql_type.to_string());
            let sql_type = match said {
                Some(said) => said,
                None => self.sql_type(column)?,
            };
            parts.push(format!("{} {sql_type}", self.name(&column.name)));
        }
        if !recipe.primary_key.is_empty() {
            let key: Vec<String> = recipe.primary_key.iter().map(|name| self.name(name)).collect();
            parts.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        Ok(vec![self.create_loading(table, &parts.join(", "))])
    }

    /// The type that holds every value of a column of a file.
    fn sql_type(self, column: &Column) -> Result<String, String> {
        let mysql = self == Self::Mysql;
        Ok(match column.kind {
            Kind::Bool => "BOOLEAN".to_owned(),
            Kind::Int { bits, signed } if mysql => {
                let name = match bits {
                    8 => "TINYINT",
                    16 => "SMALLINT",
                    32 => "INT",
                    _ => "BIGINT",
                };
                format!("{name}{}", if signed { "" } else { " UNSIGNED" })
            }
            Kind::Int { bits, signed } => match (bits, signed) {
                (8, _) | (16, true) => "SMALLINT",
                (16, false) | (32, true) => "INTEGER",
                (32, false) | (64, true) => "BIGINT",
                (_, _) => "NUMERIC(20,0)",
            }
            .to_owned(),
            Kind::Float32 => if mysql { "FLOAT" } else { "REAL" }.to_owned(),
            Kind::Float64 => if mysql { "DOUBLE" } else { "DOUBLE PRECISION" }.to_owned(),
            Kind::Decimal { precision, scale } if mysql && scale > 30 => {
                return Err(format!("column {} is decimal({precision},{scale}), and MySQL has at most 30 digits after the point", column.name));
            }
            Kind::Decimal { precision, scale } => format!("{}({precision},{scale})", if mysql { "DECIMAL" } else { "NUMERIC" }),
            Kind::Text => if mysql { "LONGTEXT" } else { "TEXT" }.to_owned(),
            Kind::Bytes => if mysql { "LONGBLOB" } else { "BYTEA" }.to_owned(),
            Kind::Date => "DATE".to_owned(),
            Kind::Time => if mysql { "TIME(6)" } else { "TIME" }.to_owned(),
            Kind::Timestamp { .. } if mysql => "DATETIME(6)".to_owned(),
            Kind::Timestamp { utc } => if utc { "TIMESTAMPTZ" } else { "TIMESTAMP" }.to_owned(),
            Kind::Uuid => if mysql { "CHAR(36)" } else { "UUID" }.to_owned(),
            Kind::Json => "JSON".to_owned(),
        })
    }

    /// Answers a table's columns: name, type, digits after the point, character set.
    pub fn columns(self, table: &str) -> String {
        match self {
            Self::Mysql => format!(
                "SELECT column_name, data_type, CAST(numeric_scale AS CHAR), character_set_name FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = {} ORDER BY ordinal_position",
                self.literal(table)
            ),
            Self::Postgres => format!(
                "SELECT a.attname, t.typname, CASE WHEN a.atttypmod > 3 THEN (((a.atttypmod - 4) & 65535)::text) END, getdatabaseencoding()::text \
                 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass({}) AND a.attnum > 0 AND NOT a.attisdropped \
                 ORDER BY a.attnum",
                self.literal(&self.name(table))
            ),
        }
    }

    /// What a column takes, by the answer to [`Self::columns`].
    pub fn class(self, sql_type: &str, scale: Option<&str>, charset: Option<&str>) -> Class {
        let scale = scale.and_then(|scale| scale.parse().ok());
        let utf8 = charset.is_some_and(|charset| charset.to_ascii_lowercase().starts_with("utf8"));
        match (self, sql_type.to_ascii_lowercase().as_str()) {
            (Self::Mysql, "tinyint") => Class::Int(1),
            (Self::Mysql, "smallint") | (Self::Postgres, "int2") => Class::Int(2),
            (Self::Mysql, "mediumint") => Class::Int(3),
            (Self::Mysql, "int") | (Self::Postgres, "int4") => Class::Int(4),
            (Self::Mysql, "bigint") | (Self::Postgres, "int8") => Class::Int(8),
            (Self::Mysql, "decimal") | (Self::Postgres, "numeric") => Class::Decimal(scale.unwrap_or_default()),
            (Self::Mysql, "float") | (Self::Postgres, "float4") => Class::Float32,
            (Self::Mysql, "double") | (Self::Postgres, "float8") => Class::Float64,
            (Self::Mysql, "varchar" | "tinytext" | "text" | "mediumtext" | "longtext") | (Self::Postgres, "text" | "varchar") if utf8 => Class::Text,
            (Self::Mysql, "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob") | (Self::Postgres, "bytea") => Class::Bytes,
            (Self::Mysql, "binary") => Class::FixedBytes,
            (_, "date") => Class::Date,
            (_, "time") => Class::Time,
            (Self::Mysql, "datetime") | (Self::Postgres, "timestamp") => Class::Timestamp,
            (Self::Mysql, "timestamp") | (Self::Postgres, "timestamptz") => Class::TimestampUtc,
            (Self::Postgres, "bool") => Class::Bool,
            (Self::Postgres, "uuid") => Class::Uuid,
            (_, "json") => Class::Json,
            _ => Class::Other,
        }
    }

    /// Answers the first column of a table's primary key, or no row where it has none, for a database in which one question is one processor.
    /// PostgreSQL has its own workers for it.
    pub fn slicing_key(self, table: &str) -> Option<String> {
        (self == Self::Mysql).then(|| {
            format!(
                "SELECT column_name FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = {} AND index_name = 'PRIMARY' \
                 AND seq_in_index = 1",
                self.literal(table)
            )
        })
    }

    /// Answers the least and the largest value of a column.
    pub fn ends(self, table: &str, column: &str) -> String {
        let (name, text) = (self.name(column), self.text());
        format!("SELECT CAST(MIN({name}) AS {text}), CAST(MAX({name}) AS {text}) FROM {}", self.name(table))
    }

    /// The type of what is read as text.
    const fn text(self) -> &'static str {
        match self {
            Self::Mysql => "CHAR",
            Self::Postgres => "TEXT",
        }
    }

    /// Answers one row: how many rows a table has (of a slice, where a condition says which), and for each column how many values and what
    /// they add up to.
    pub fn measure(self, table: &str, columns: &[(&str, Class)], slice: Option<&str>) -> String {
        let text = self.text();
        let mut parts = vec![format!("CAST(COUNT(*) AS {text})")];
        for (name, class) in columns {
            let name = self.name(name);
            parts.push(format!("CAST(COUNT({name}) AS {text})"));
            parts.push(sum_of(*class).map_or_else(|| "NULL".to_owned(), |sum| format!("CAST(SUM({}) AS {text})", self.summand(sum, &name))));
        }
        let slice = slice.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
        format!("SELECT {} FROM {}{slice}", parts.join(", "), self.name(table))
    }

    fn summand(self, sum: Sum, name: &str) -> String {
        match (self, sum) {
            (_, Sum::Numbers) | (Self::Mysql, Sum::Truths) => name.to_owned(),
            (Self::Postgres, Sum::Truths) => format!("{name}::int"),
            (_, Sum::Lengths) => format!("OCTET_LENGTH({name})"),
            (Self::Mysql, Sum::Days) => format!("TO_DAYS({name}) - 719528"),
            (Self::Postgres, Sum::Days) => format!("{name} - DATE '1970-01-01'"),
            (Self::Mysql, Sum::Micros) => format!("TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', {name})"),
            // By whole seconds and the rest, because older versions answer with floating point.
            (Self::Postgres, Sum::Micros) => {
                format!("EXTRACT(EPOCH FROM DATE_TRUNC('second', {name}))::bigint::numeric * 1000000 + EXTRACT(MICROSECONDS FROM {name})::bigint % 1000000")
            }
        }
    }

    pub fn count(self, table: &str) -> String {
        format!("SELECT CAST(COUNT(*) AS {}) FROM {}", self.text(), self.name(table))
    }

    pub fn truncate(self, table: &str) -> String {
        format!("TRUNCATE TABLE {}", self.name(table))
    }

    /// Puts the table beside in its place, with its proof. Each statement may be the last: whatever stands under the real name is whole.
    pub fn swap(self, table: &str, exists: bool, proof: &Comment) -> Vec<String> {
        let (new, old) = (beside(table), aside(table));
        match self {
            Self::Mysql if exists => vec![
                self.set_comment(&new, proof),
                format!("RENAME TABLE {name} TO {old}, {new} TO {name}", name = self.name(table), old = self.name(&old), new = self.name(&new)),
                self.drop(&old),
            ],
            Self::Mysql => vec![self.set_comment(&new, proof), format!("RENAME TABLE {} TO {}", self.name(&new), self.name(table))],
            // Several statements in one message are one transaction.
            Self::Postgres => {
                let gone = if exists { format!("DROP TABLE {}; ", self.name(table)) } else { String::new() };
                vec![format!("{gone}ALTER TABLE {} RENAME TO {}; {}", self.name(&new), self.name(table), self.set_comment(table, proof))]
            }
        }
    }

    /// Takes rows into a table, in the order of the slots.
    pub fn load(self, table: &str, slots: &[Slot], binary: bool) -> String {
        match self {
            Self::Mysql => {
                let hex = |slot: &&Slot| super::text::is_bytes(slot.class);
                let targets: Vec<String> =
                    slots.iter().enumerate().map(|(at, slot)| if hex(&slot) { format!("@c{at}") } else { self.name(&slot.name) }).collect();
                let set: Vec<String> =
                    slots.iter().enumerate().filter(|(_, slot)| hex(slot)).map(|(at, slot)| format!("{} = UNHEX(@c{at})", self.name(&slot.name))).collect();
                let set = if set.is_empty() { String::new() } else { format!(" SET {}", set.join(", ")) };
                format!(
                    "LOAD DATA LOCAL INFILE 'chunk' INTO TABLE {} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' ({}){set}",
                    self.name(table),
                    targets.join(", ")
                )
            }
            Self::Postgres => {
                let names: Vec<String> = slots.iter().map(|slot| self.name(&slot.name)).collect();
                let format = if binary { " WITH (FORMAT binary)" } else { "" };
                format!("COPY {} ({}) FROM STDIN{format}", self.name(table), names.join(", "))
            }
        }
    }

    /// Columns out of the answer to [`Self::columns`].
    pub fn read_columns(self, rows: Vec<Vec<Option<String>>>) -> Vec<TargetColumn> {
        rows.into_iter()
            .filter_map(|row| {
                let mut fields = row.into_iter();
                let (name, sql_type) = (fields.next()??, fields.next()??);
                let (scale, charset) = (fields.next().flatten(), fields.next().flatten());
                Some(TargetColumn { class: self.class(&sql_type, scale.as_deref(), charset.as_deref()), name })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        assert_eq!(Dialect::Mysql.name("a`; DROP TABLE x; --"), "`a``; DROP TABLE x; --`");
        assert_eq!(Dialect::Postgres.name("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(Dialect::Mysql.literal("a\\' OR 1"), "'a\\\\'' OR 1'");
        assert_eq!(Dialect::Postgres.literal("a' OR 1"), "'a'' OR 1'");
    }

    #[test]
    fn a_half_loaded_table_never_has_the_real_name() {
        let proof = Comment::Loading;
        assert_eq!(
            Dialect::Mysql.swap("t", true, &proof)[1],
            format!("RENAME TABLE `t` TO `{}`, `{}` TO `t`", aside("t"), beside("t")),
            "one statement takes one away and puts the other in its place"
        );
        assert_eq!(Dialect::Postgres.swap("t", true, &proof).len(), 1, "one message is one transaction");
        assert!(beside(&"t".repeat(64)).len() < 64);
    }
}
