//! The SQL that Doris is asked with. What its documentation does not have in common with MySQL stands here.

use crucible_lifecycle::{contract::TableRecipe, fixture::Comment};

use super::super::{
    engine::Dialect,
    session::Session,
    tally::{Sum, sum_of},
    value::{Class, Column, Kind, TargetColumn},
};

/// The port that a frontend has for HTTP where it does not say.
const HTTP_PORT: u16 = 8030;

/// A name in its quotes.
pub fn name(name: &str) -> String {
    Dialect::Mysql.name(name)
}

/// A text in its quotes.
pub fn literal(text: &str) -> String {
    Dialect::Mysql.literal(text)
}

/// Answers one row with the table's comment, or no row where there is no table.
pub fn comment(table: &str) -> String {
    Dialect::Mysql.comment(table)
}

/// `ALTER TABLE … MODIFY COMMENT` (ALTER-TABLE-COMMENT.md); it is done when it is answered.
pub fn set_comment(table: &str, comment: &Comment) -> String {
    format!("ALTER TABLE {} MODIFY COMMENT {}", name(table), literal(&comment.to_string()))
}

pub fn drop(table: &str) -> String {
    format!("DROP TABLE IF EXISTS {}", name(table))
}

pub fn truncate(table: &str) -> String {
    format!("TRUNCATE TABLE {}", name(table))
}

pub fn create_like(table: &str, of: &str) -> String {
    format!("CREATE TABLE {} LIKE {}", name(table), name(of))
}

/// Gives a table a name that no other has.
pub fn rename(from: &str, to: &str) -> String {
    format!("ALTER TABLE {} RENAME {}", name(from), name(to))
}

/// Puts a table in the place of another, which is gone.
pub fn replace(table: &str, by: &str) -> String {
    format!("ALTER TABLE {} REPLACE WITH TABLE {} PROPERTIES('swap' = 'false')", name(table), name(by))
}

pub fn count(table: &str) -> String {
    format!("SELECT COUNT(*) FROM {}", name(table))
}

/// Answers a table's columns: name, type, digits after the point.
pub fn columns(table: &str) -> String {
    format!(
        "SELECT column_name, data_type, numeric_scale FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = {} \
         ORDER BY ordinal_position",
        literal(table)
    )
}

/// Columns out of that answer.
pub fn read_columns(rows: Vec<Vec<Option<String>>>) -> Vec<TargetColumn> {
    let read = |row: Vec<Option<String>>| {
        let mut fields = row.into_iter();
        let (name, sql_type, scale) = (fields.next()??, fields.next()??, fields.next().flatten());
        Some(TargetColumn { class: class(&sql_type, scale.as_deref()), name })
    };
    rows.into_iter().filter_map(read).collect()
}

/// What a column takes. Of what is not named here only the values are counted.
fn class(sql_type: &str, scale: Option<&str>) -> Class {
    match sql_type.to_ascii_lowercase().as_str() {
        "tinyint" => Class::Int(1),
        "smallint" => Class::Int(2),
        "int" => Class::Int(4),
        "bigint" => Class::Int(8),
        "largeint" | "bigint unsigned" => Class::Decimal(0),
        "decimal" | "decimalv3" | "decimal32" | "decimal64" | "decimal128" | "decimal128i" => {
            Class::Decimal(scale.and_then(|scale| scale.parse().ok()).unwrap_or_default())
        }
        "varchar" | "string" | "text" | "longtext" => Class::Text,
        "date" | "datev2" => Class::Date,
        "float" => Class::Float32,
        "double" => Class::Float64,
        "json" | "jsonb" => Class::Json,
        _ => Class::Other,
    }
}

/// Answers one row: how many rows a table has, and for each column how many values and what they add up to. Whole numbers are added up as
/// decimals, because a sum of them is not wider than they are.
pub fn measure(table: &str, columns: &[(&str, Class)]) -> String {
    let mut parts = vec!["COUNT(*)".to_owned()];
    for (column, class) in columns {
        let column = name(column);
        parts.push(format!("COUNT({column})"));
        let summand = match (sum_of(*class), class) {
            (Some(Sum::Numbers), Class::Decimal(scale)) => Some(format!("CAST({column} AS DECIMAL(38,{scale}))")),
            (Some(Sum::Numbers), _) => Some(format!("CAST({column} AS DECIMAL(38,0))")),
            (Some(Sum::Lengths), _) => Some(format!("LENGTH({column})")),
            (Some(Sum::Days), _) => Some(format!("TO_DAYS({column}) - 719528")),
            (Some(Sum::Truths | Sum::Micros) | None, _) => None,
        };
        parts.push(summand.map_or_else(|| "NULL".to_owned(), |summand| format!("SUM({summand})")));
    }
    format!("SELECT {} FROM {}", parts.join(", "), name(table))
}

/// An empty table as the recipe and the files say, which says from its first moment that it is being filled. The columns of its key come
/// first, as Doris wants them; a table without a key is one without any order (`enable_duplicate_without_keys_by_default`).
pub fn create(table: &str, recipe: &TableRecipe, columns: &[Column], replicas: Option<u64>) -> Result<String, String> {
    let key = &recipe.primary_key;
    let named = recipe.columns.iter().map(|column| &*column.name).chain(key.iter().map(String::as_str));
    if let Some(unknown) = named.into_iter().find(|named| !columns.iter().any(|column| column.name == **named)) {
        return Err(format!("the files have no column {unknown}, which the fixture names"));
    }
    let mut ordered: Vec<&Column> = columns.iter().collect();
    ordered.sort_by_key(|column| key.iter().position(|name| *name == column.name).unwrap_or(usize::MAX));
    let mut parts = Vec::with_capacity(columns.len());
    for column in ordered {
        let sql_type = match recipe.columns.iter().find(|said| *said.name == *column.name) {
            Some(said) => said.sql_type.to_string(),
            None => sql_type(column, key.contains(&column.name))?,
        };
        parts.push(format!("{} {sql_type}", name(&column.name)));
    }
    let key: Vec<String> = key.iter().map(|column| name(column)).collect();
    let (model, distributed) =
        if key.is_empty() { (String::new(), "RANDOM".to_owned()) } else { (format!(" UNIQUE KEY({})", key.join(", ")), format!("HASH({})", key.join(", "))) };
    let mut properties: Vec<String> = replicas.map(|replicas| format!("\"replication_num\" = \"{replicas}\"")).into_iter().collect();
    if key.is_empty() {
        properties.push("\"enable_duplicate_without_keys_by_default\" = \"true\"".to_owned());
    }
    let properties = if properties.is_empty() { String::new() } else { format!(" PROPERTIES ({})", properties.join(", ")) };
    let comment = literal(&Comment::Loading.to_string());
    Ok(format!("CREATE TABLE {} ({}){model} COMMENT {comment} DISTRIBUTED BY {distributed} BUCKETS AUTO{properties}", name(table), parts.join(", ")))
}

/// The type that holds every value of a column of a file.
fn sql_type(column: &Column, key: bool) -> Result<String, String> {
    let Column { name, kind } = column;
    if key && matches!(kind, Kind::Text | Kind::Json | Kind::Float32 | Kind::Float64 | Kind::Time) {
        return Err(format!(
            "column {name} is {kind} and part of the primary key: it needs a type in `columns` that a key of Doris can have, like varchar(64)"
        ));
    }
    Ok(match kind {
        Kind::Bool => "BOOLEAN",
        Kind::Int { bits: 8, signed: true } => "TINYINT",
        Kind::Int { bits: 16, signed: true } | Kind::Int { bits: 8, signed: false } => "SMALLINT",
        Kind::Int { bits: 32, signed: true } | Kind::Int { bits: 16, signed: false } => "INT",
        Kind::Int { signed: true, .. } | Kind::Int { bits: 32, signed: false } => "BIGINT",
        Kind::Int { signed: false, .. } => "LARGEINT",
        Kind::Float32 => "FLOAT",
        Kind::Float64 => "DOUBLE",
        Kind::Decimal { precision, scale } => return Ok(format!("DECIMAL({precision},{scale})")),
        // There is no column of times of day.
        Kind::Text | Kind::Time => "STRING",
        Kind::Json => "JSON",
        Kind::Bytes => return Err(format!("column {name} is bytes, and Doris has no column of bytes")),
        Kind::Date => "DATE",
        Kind::Timestamp { .. } => "DATETIME(6)",
        Kind::Uuid => "VARCHAR(36)",
    }
    .to_owned())
}

/// How many replicas a table gets: as many as there are backends, and no more than three. Nothing where that may not be asked; then it is
/// as the cluster has it.
pub async fn replicas(session: &mut Session) -> Option<u64> {
    let alive = "SELECT COUNT(*) FROM backends() WHERE LOWER(CAST(Alive AS STRING)) IN ('true', '1')";
    let rows = session.query(alive).await.ok()?;
    rows.into_iter().flatten().flatten().next()?.parse().ok().map(|alive: u64| alive.clamp(1, 3))
}

/// The port that the frontend has for HTTP. Only those who may see its nodes are told; for others it is the usual one.
pub async fn http_port(session: &mut Session) -> u16 {
    let rows = session.query("SELECT HttpPort FROM frontends() WHERE CurrentConnected = 'Yes'").await.unwrap_or_default();
    rows.into_iter().flatten().flatten().next().and_then(|port| port.parse().ok()).unwrap_or(HTTP_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crucible_crds::fixture::{FixtureFormat, FixtureReset};

    fn made(columns: &str, primary_key: &[&str], replicas: Option<u64>) -> String {
        let recipe = TableRecipe {
            fixture: "shop".into(),
            table: "orders".into(),
            format: FixtureFormat::Csv,
            reset: FixtureReset::Reload,
            replace_existing: false,
            columns: serde_json::from_str(columns).unwrap(),
            primary_key: primary_key.iter().map(|name| (*name).to_owned()).collect(),
            digest: "d1".into(),
            writes: false,
            files: Vec::new(),
        };
        let found = [("note", Kind::Text), ("id", Kind::Int { bits: 64, signed: false }), ("price", Kind::Decimal { precision: 15, scale: 2 })];
        let found: Vec<Column> = found.into_iter().map(|(name, kind)| Column { name: name.to_owned(), kind }).collect();
        create("t", &recipe, &found, replicas).unwrap_or_else(|why| why)
    }

    #[test]
    fn a_table_is_made_with_its_key_first_or_without_any() {
        assert_eq!(
            made("[]", &["id"], Some(3)),
            "CREATE TABLE `t` (`id` LARGEINT, `note` STRING, `price` DECIMAL(15,2)) UNIQUE KEY(`id`) COMMENT 'crucible loading' \
             DISTRIBUTED BY HASH(`id`) BUCKETS AUTO PROPERTIES (\"replication_num\" = \"3\")"
        );
        assert_eq!(
            made(r#"[{"name": "note", "type": "varchar(9)"}]"#, &[], None),
            "CREATE TABLE `t` (`note` varchar(9), `id` LARGEINT, `price` DECIMAL(15,2)) COMMENT 'crucible loading' \
             DISTRIBUTED BY RANDOM BUCKETS AUTO PROPERTIES (\"enable_duplicate_without_keys_by_default\" = \"true\")"
        );
        assert!(made("[]", &["note"], None).starts_with("column note is text and part of the primary key: "));
        assert_eq!(made("[]", &["no"], None), "the files have no column no, which the fixture names");
    }

    #[test]
    fn a_table_is_measured_by_what_adds_up() {
        let columns = [("id", Class::Int(8)), ("price", Class::Decimal(2)), ("note", Class::Text), ("born", Class::Date), ("seen", Class::Other)];
        assert_eq!(
            measure("t", &columns),
            "SELECT COUNT(*), COUNT(`id`), SUM(CAST(`id` AS DECIMAL(38,0))), COUNT(`price`), SUM(CAST(`price` AS DECIMAL(38,2))), \
             COUNT(`note`), SUM(LENGTH(`note`)), COUNT(`born`), SUM(TO_DAYS(`born`) - 719528), COUNT(`seen`), NULL FROM `t`"
        );
    }
}
