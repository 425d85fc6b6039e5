//! The SQL that Trino is asked with. Names are quoted by its own rules; nothing else comes from outside.

use crucible_lifecycle::{build::names::short_hash, contract::TableRecipe, fixture::Comment};

use super::super::{
    engine::{aside, beside},
    tally::{Sum, adds_up, sum_of},
    value::{Class, Column, Kind, Slot},
};

/// A catalog and a schema in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    pub catalog: String,
    pub schema: String,
}

/// What a table may take one column as: its name and its type in Trino's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typed {
    pub name: String,
    pub sql_type: String,
}

pub fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names of one attempt. Trino has no locks, so that no two attempts ever fill the same table.
#[derive(Clone, Debug)]
pub struct Names {
    table: String,
    token: String,
}

impl Names {
    /// The names of an attempt at a table; `token` is its own alone.
    pub fn new(table: &str, token: &str) -> Self {
        Self { table: table.to_lowercase(), token: short_hash(token, 8) }
    }

    /// The table that is filled.
    pub fn new_table(&self) -> String {
        format!("{}_{}", beside(&self.table), self.token)
    }

    /// The table over the files of one folder.
    pub fn files(&self, folder: usize) -> String {
        format!("{}_{}_{folder}", files(&self.table), self.token)
    }

    /// The table that was replaced, for the moment until it is dropped.
    pub fn old_table(&self) -> String {
        aside(&self.table)
    }

    /// Patterns of the names of every attempt at the table.
    pub fn of_all(&self) -> [String; 2] {
        [beside(&self.table), files(&self.table)].map(|beginning| format!("{}\\_%", beginning.replace('_', "\\_")))
    }
}

/// What tables over files begin with.
fn files(table: &str) -> String {
    format!("crucible_files_{}", short_hash(table, 12))
}

impl Schema {
    /// `catalog.schema`; nothing where it is a catalog alone.
    pub fn parse(text: &str) -> Option<Self> {
        let (catalog, schema) = text.split_once('.')?;
        // Trino knows no capitals, and its own tables have none to be found by.
        Some(Self { catalog: catalog.to_lowercase(), schema: schema.to_lowercase() })
    }

    pub fn table(&self, table: &str) -> String {
        format!("{}.{}.{}", name(&self.catalog), name(&self.schema), name(table))
    }

    /// Answers a row where there is such a schema.
    pub fn exists(&self) -> String {
        format!("SELECT schema_name FROM {}.information_schema.schemata WHERE schema_name = {}", name(&self.catalog), literal(&self.schema))
    }

    /// Answers one row with the table's comment, or no row where there is no table.
    pub fn comment(&self, table: &str) -> String {
        format!(
            "SELECT comment FROM system.metadata.table_comments WHERE catalog_name = {} AND schema_name = {} AND table_name = {}",
            literal(&self.catalog),
            literal(&self.schema),
            literal(&table.to_lowercase())
        )
    }

    pub fn set_comment(&self, table: &str, comment: &Comment) -> String {
        format!("COMMENT ON TABLE {} IS {}", self.table(table), literal(&comment.to_string()))
    }

    /// Answers a table's columns: name and type.
    pub fn columns(&self, table: &str) -> String {
        format!(
            "SELECT column_name, data_type FROM {}.information_schema.columns WHERE table_schema = {} AND table_name = {} ORDER BY ordinal_position",
            name(&self.catalog),
            literal(&self.schema),
            literal(&table.to_lowercase())
        )
    }

    /// Answers the names of the tables that are like a pattern.
    pub fn tables_like(&self, pattern: &str) -> String {
        format!(
            "SELECT table_name FROM {}.information_schema.tables WHERE table_schema = {} AND table_name LIKE {} ESCAPE '\\' ORDER BY table_name",
            name(&self.catalog),
            literal(&self.schema),
            literal(pattern)
        )
    }

    pub fn rename(&self, table: &str, to: &str) -> String {
        format!("ALTER TABLE {} RENAME TO {}", self.table(table), self.table(to))
    }

    pub fn drop(&self, table: &str) -> String {
        format!("DROP TABLE IF EXISTS {}", self.table(table))
    }

    pub fn count(&self, table: &str) -> String {
        format!("SELECT CAST(count(*) AS varchar) FROM {}", self.table(table))
    }

    /// A table over the files of a folder. Dropping it leaves them.
    pub fn over_files(&self, table: &str, columns: &[Typed], folder: &str) -> String {
        let columns: Vec<String> = columns.iter().map(|column| format!("{} {}", name(&column.name), column.sql_type)).collect();
        format!("CREATE TABLE {} ({}) WITH (format = 'PARQUET', external_location = {})", self.table(table), columns.join(", "), literal(folder))
    }

    /// Answers each file that has rows, and how many.
    pub fn rows_of_files(&self, table: &str) -> String {
        format!("SELECT \"$path\", CAST(count(*) AS varchar) FROM {} GROUP BY \"$path\"", self.table(table))
    }

    /// A table of what is selected, which says from its first moment that it is being filled.
    pub fn create_as(&self, table: &str, select: &str) -> String {
        format!("CREATE TABLE {} COMMENT {} AS {select}", self.table(table), literal(&Comment::Loading.to_string()))
    }
}

/// All rows of several tables over files, each column as an expression under a name.
pub fn select(columns: &[(String, String)], from: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|(expression, column)| format!("{expression} AS {}", name(column))).collect();
    let columns = columns.join(", ");
    from.iter().map(|table| format!("SELECT {columns} FROM {table}")).collect::<Vec<_>>().join(" UNION ALL ")
}

/// The type by which a table over files reads a column of them.
pub fn type_in_files(column: &Column) -> Result<String, String> {
    let Column { name, kind } = column;
    let refused = |what: &str| Err(format!("column {name} is {kind}, and {what}"));
    Ok(match kind {
        Kind::Bool => "boolean".to_owned(),
        Kind::Int { bits: 8, signed: true } => "tinyint".to_owned(),
        Kind::Int { bits: 16, signed: true } => "smallint".to_owned(),
        Kind::Int { bits: 32, signed: true } => "integer".to_owned(),
        Kind::Int { bits: _, signed: true } => "bigint".to_owned(),
        Kind::Int { bits: _, signed: false } => return refused("Trino has no numbers without a sign: the largest of them would be read as negative ones"),
        Kind::Float32 => "real".to_owned(),
        Kind::Float64 => "double".to_owned(),
        Kind::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        Kind::Text | Kind::Json => "varchar".to_owned(),
        Kind::Bytes => "varbinary".to_owned(),
        Kind::Date => "date".to_owned(),
        Kind::Time | Kind::Uuid => return refused("Trino's Hive connector has no such type"),
        Kind::Timestamp { .. } => "timestamp(9)".to_owned(),
    })
}

/// What stands in a table made from the files: the types of the fixture where it says some, and of the files elsewhere.
pub fn wanted(recipe: &TableRecipe, columns: &[Column]) -> Result<Vec<Typed>, String> {
    let is = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
    let named = recipe.columns.iter().map(|column| &*column.name).chain(recipe.primary_key.iter().map(String::as_str));
    for said in named {
        if !columns.iter().any(|column| is(&column.name, said)) {
            return Err(format!("the files have no column {said}, which the fixture names"));
        }
    }
    columns
        .iter()
        .map(|column| {
            let said = recipe.columns.iter().find(|said| is(&said.name, &column.name)).map(|said| said.sql_type.to_string());
            let sql_type = match said {
                Some(said) if said.to_lowercase().ends_with(" null") => {
                    return Err(format!("spec.columns says {said} of column {}, and a table that Trino makes of files has no such rule", column.name));
                }
                Some(said) => said,
                None => type_in_files(column)?,
            };
            Ok(Typed { name: column.name.to_lowercase(), sql_type })
        })
        .collect()
}

/// What a column takes, by its type.
pub fn class(sql_type: &str) -> Class {
    let (word, rest) = sql_type.split_once('(').unwrap_or((sql_type, ""));
    let inside = rest.split_once(')').map_or("", |(inside, _)| inside);
    match word.trim() {
        "boolean" => Class::Bool,
        "tinyint" => Class::Int(1),
        "smallint" => Class::Int(2),
        "integer" => Class::Int(4),
        "bigint" => Class::Int(8),
        "decimal" => Class::Decimal(inside.rsplit(',').next().and_then(|scale| scale.trim().parse().ok()).unwrap_or_default()),
        "real" => Class::Float32,
        "double" => Class::Float64,
        "varchar" => Class::Text,
        "varbinary" => Class::Bytes,
        "date" => Class::Date,
        "timestamp" if sql_type.ends_with("with time zone") => Class::TimestampUtc,
        "timestamp" => Class::Timestamp,
        "uuid" => Class::Uuid,
        "json" => Class::Json,
        _ => Class::Other,
    }
}

/// One row about a relation: how many rows it has, and for each column how many values, what they add up to, and Trino's checksum over all
/// of them. A column is its name, what it takes, and the expression that is the value.
pub fn measure(from: &str, columns: &[Measured]) -> String {
    let mut parts = vec!["CAST(count(*) AS varchar)".to_owned()];
    for Measured { value, sum, digest } in columns {
        parts.push(format!("CAST(count({value}) AS varchar)"));
        parts.push(sum.clone().map_or_else(|| "CAST(NULL AS varchar)".to_owned(), |sum| format!("CAST(sum({sum}) AS varchar)")));
        parts.push(format!("to_hex(checksum({digest}))"));
    }
    format!("SELECT {} FROM {from}", parts.join(", "))
}

/// What is asked of one column.
pub struct Measured {
    value: String,
    sum: Option<String>,
    digest: String,
}

/// What is asked of a column of the files: it is added up as the files have it, before anything could bend it.
pub fn of_files(slot: &Slot, sql_type: &str) -> Measured {
    let value = name(&slot.name);
    let cast = format!("CAST({value} AS {sql_type})");
    let sum = sum_of(slot.class).filter(|_| adds_up(slot)).map(|sum| match (sum, slot.kind, slot.class) {
        (Sum::Numbers, Kind::Text, Class::Int(_)) => format!("CAST({cast} AS decimal(38,0))"),
        (Sum::Numbers, Kind::Text, _) => cast.clone(),
        (Sum::Numbers, Kind::Int { .. }, _) => format!("CAST({value} AS decimal(38,0))"),
        (Sum::Numbers, Kind::Bool, _) => summand(Sum::Truths, slot.class, &value),
        (Sum::Numbers, _, _) => value.clone(),
        (Sum::Lengths, Kind::Text, _) => format!("length(to_utf8({value}))"),
        (Sum::Lengths, _, _) => format!("length({value})"),
        (Sum::Truths | Sum::Days | Sum::Micros, _, _) => summand(sum, slot.class, &value),
    });
    let digest = as_is(slot, sql_type, &value).unwrap_or(cast);
    Measured { value, sum, digest }
}

/// What is asked of the same column of the table.
pub fn of_table(slot: &Slot, sql_type: &str) -> Measured {
    let value = name(&slot.name);
    let sum = sum_of(slot.class).map(|sum| summand(sum, slot.class, &value));
    let digest = as_is(slot, sql_type, &value).unwrap_or_else(|| value.clone());
    Measured { value, sum, digest }
}

/// The value in a form in which a text that was cut off, or a number that was rounded, is another one: Trino's CAST does both silently.
fn as_is(slot: &Slot, sql_type: &str, value: &str) -> Option<String> {
    match (slot.kind, slot.class) {
        (_, Class::Text) => Some(format!("CAST({value} AS varchar)")),
        (_, Class::Other) if sql_type.starts_with("char") => Some(format!("rtrim(CAST({value} AS varchar))")),
        (Kind::Decimal { scale, .. }, Class::Decimal(other)) if scale != other => Some(format!("CAST({value} AS decimal(38,{}))", scale.max(other))),
        (Kind::Decimal { scale, .. }, Class::Int(_)) => Some(format!("CAST({value} AS decimal(38,{scale}))")),
        (Kind::Timestamp { .. }, Class::Timestamp) => Some(format!("CAST({value} AS timestamp(9))")),
        _ => None,
    }
}

fn summand(sum: Sum, class: Class, value: &str) -> String {
    match sum {
        // The sum of whole numbers is one of 64 bits, which may be too few.
        Sum::Numbers if matches!(class, Class::Int(_)) => format!("CAST({value} AS decimal(38,0))"),
        Sum::Numbers => value.to_owned(),
        Sum::Truths => format!("CAST({value} AS integer)"),
        Sum::Lengths if class == Class::Text => format!("length(to_utf8({value}))"),
        Sum::Lengths => format!("length({value})"),
        Sum::Days => format!("date_diff('day', DATE '1970-01-01', {value})"),
        // By whole seconds and the rest: there is no difference in microseconds, and floating point would lose some.
        Sum::Micros => format!(
            "date_diff('second', TIMESTAMP '1970-01-01 00:00:00', date_trunc('second', CAST({value} AS timestamp(6)))) * 1000000 \
             + CAST(split_part(CAST(CAST({value} AS timestamp(6)) AS varchar), '.', 2) AS bigint)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use crucible_crds::fixture::{FixtureFormat, FixtureReset};

    use super::*;

    fn slot(kind: Kind, class: Class) -> Slot {
        Slot { name: "c".into(), kind, class }
    }

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        let schema = Schema::parse("Hive.Shop").unwrap();
        assert_eq!(schema.table("a\"; DROP TABLE x; --"), "\"hive\".\"shop\".\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(literal("a' OR 1"), "'a'' OR 1'");
        assert_eq!(Schema::parse("hive"), None);
    }

    #[test]
    fn no_two_attempts_fill_the_same_table_and_each_finds_what_all_have_left() {
        let (one, other) = (Names::new("Orders", "pod a"), Names::new("orders", "pod b"));
        assert_ne!(one.new_table(), other.new_table());
        assert_ne!(one.files(0), other.files(0));
        assert_eq!((one.old_table(), one.of_all()), (other.old_table(), other.of_all()));
        let [new, files] = one.of_all().map(|pattern| pattern.replace('\\', "").trim_end_matches('%').to_owned());
        assert!(one.new_table().starts_with(&new) && one.files(7).starts_with(&files));
        assert!(!one.new_table().contains(char::is_uppercase) && one.new_table().len() < 64);
    }

    #[test]
    fn types_are_those_of_the_fixture_or_of_the_files() {
        let mut recipe = TableRecipe {
            fixture: "shop".into(),
            table: "orders".into(),
            format: FixtureFormat::Parquet,
            reset: FixtureReset::Reload,
            replace_existing: false,
            columns: serde_json::from_str(r#"[{"name": "note", "type": "varchar(10)"}]"#).unwrap(),
            primary_key: vec!["ID".into()],
            digest: "d1".into(),
            writes: false,
            files: Vec::new(),
        };
        let column = |name: &str, kind| Column { name: name.into(), kind };
        let columns = [column("Id", Kind::Int { bits: 64, signed: true }), column("note", Kind::Text)];
        let typed = |name: &str, sql_type: &str| Typed { name: name.into(), sql_type: sql_type.into() };
        assert_eq!(wanted(&recipe, &columns), Ok(vec![typed("id", "bigint"), typed("note", "varchar(10)")]));
        recipe.primary_key = vec!["nr".into()];
        assert_eq!(wanted(&recipe, &columns), Err("the files have no column nr, which the fixture names".to_owned()));
        recipe.primary_key.clear();
        recipe.columns = serde_json::from_str(r#"[{"name": "note", "type": "varchar(10) not null"}]"#).unwrap();
        assert_eq!(
            wanted(&recipe, &columns),
            Err("spec.columns says varchar(10) not null of column note, and a table that Trino makes of files has no such rule".to_owned())
        );
        let unsigned = type_in_files(&column("n", Kind::Int { bits: 32, signed: false })).unwrap_err();
        assert_eq!(unsigned, "column n is uint32, and Trino has no numbers without a sign: the largest of them would be read as negative ones");
    }

    #[test]
    fn types_are_read_as_trino_writes_them() {
        let cases = [
            ("decimal(15,2)", Class::Decimal(2)),
            ("decimal(38, 10)", Class::Decimal(10)),
            ("varchar", Class::Text),
            ("varchar(25)", Class::Text),
            ("char(3)", Class::Other),
            ("timestamp(3)", Class::Timestamp),
            ("timestamp(6) with time zone", Class::TimestampUtc),
            ("array(bigint)", Class::Other),
        ];
        for (sql_type, expected) in cases {
            assert_eq!(class(sql_type), expected, "{sql_type}");
        }
    }

    #[test]
    fn what_a_cast_would_bend_is_added_up_before_it() {
        let text = of_files(&slot(Kind::Text, Class::Text), "varchar(3)");
        assert_eq!((text.sum.as_deref(), text.digest.as_str()), (Some("length(to_utf8(\"c\"))"), "CAST(\"c\" AS varchar)"));
        let number = of_files(&slot(Kind::Decimal { precision: 15, scale: 2 }, Class::Decimal(1)), "decimal(15,1)");
        assert_eq!((number.sum.as_deref(), number.digest.as_str()), (Some("\"c\""), "CAST(\"c\" AS decimal(38,2))"));
        let table = of_table(&slot(Kind::Decimal { precision: 15, scale: 2 }, Class::Decimal(1)), "decimal(15,1)");
        assert_eq!((table.sum.as_deref(), table.digest.as_str()), (Some("\"c\""), "CAST(\"c\" AS decimal(38,2))"));
        let whole = of_files(&slot(Kind::Int { bits: 64, signed: true }, Class::Int(8)), "bigint");
        assert_eq!((whole.sum.as_deref(), whole.digest.as_str()), (Some("CAST(\"c\" AS decimal(38,0))"), "CAST(\"c\" AS bigint)"));
    }
}
