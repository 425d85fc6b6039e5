//! What a table has come to, as its database says. Where the key of a large table is a whole number, several sessions are asked at once
//! for a slice of it each: one session is one processor for many of them, and would have the others wait.

use futures::future;

use super::{session::Session, table::Loader, tally::Measured, trouble::Trouble, value::Class};

/// How many slices a table is measured in.
const SLICES: i128 = 4;
/// How far the key has to reach for that. A small table whose key does is measured rightly all the same.
const REACH: i128 = 500_000;

/// Columns to be measured, by their names.
type Columns<'a> = [(&'a str, Class)];

impl Loader {
    /// Counts and adds up the columns of a table, which nobody else changes.
    pub async fn measure(&self, session: &mut Session, table: &str, columns: &Columns<'_>) -> Result<Measured, Trouble> {
        let slices = self.slices(session, table, columns).await?;
        if slices.is_empty() {
            return self.measure_slice(session, table, columns, None).await;
        }
        let parts = slices.iter().map(async |slice| {
            let mut session = Session::connect(&self.endpoint).await?;
            self.measure_slice(&mut session, table, columns, Some(slice)).await
        });
        let parts = future::try_join_all(parts).await?;
        Ok(parts.into_iter().reduce(|whole, part| whole.and(&part)).unwrap_or_default())
    }

    /// The slices of a table as conditions on its key, which every row meets one of; none where it is asked for as a whole.
    async fn slices(&self, session: &mut Session, table: &str, columns: &Columns<'_>) -> Result<Vec<String>, Trouble> {
        let sql = session.dialect();
        let Some(asked) = sql.slicing_key(table) else { return Ok(Vec::new()) };
        let key = self.row(session, &asked).await?.into_iter().next().flatten();
        let Some(key) = key.filter(|key| columns.iter().any(|(name, class)| name == key && matches!(class, Class::Int(_)))) else {
            return Ok(Vec::new());
        };
        let ends: Vec<i128> = self.row(session, &sql.ends(table, &key)).await?.into_iter().filter_map(|end| end?.parse().ok()).collect();
        let &[least, most] = &*ends else { return Ok(Vec::new()) };
        Ok(cuts(least, most).map_or_else(Vec::new, |cuts| conditions(&sql.name(&key), &cuts)))
    }

    async fn measure_slice(&self, session: &mut Session, table: &str, columns: &Columns<'_>, slice: Option<&String>) -> Result<Measured, Trouble> {
        let sql = session.dialect().measure(table, columns, slice.map(String::as_str));
        let mut fields = self.row(session, &sql).await?.into_iter();
        let count = |field: Option<Option<String>>| field.flatten().and_then(|text| text.parse().ok()).unwrap_or_default();
        let rows = count(fields.next());
        let columns = columns.iter().map(|_| (count(fields.next()), fields.next().flatten())).collect();
        Ok(Measured { rows, columns })
    }

    /// The one row of an answer.
    async fn row(&self, session: &mut Session, sql: &str) -> Result<Vec<Option<String>>, Trouble> {
        let rows = session.query(sql).await.map_err(|error| self.sql("it cannot be measured", &error))?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }
}

/// Where a key is cut into slices of about one length; nothing where it does not reach far enough.
fn cuts(least: i128, most: i128) -> Option<Vec<i128>> {
    let reach = most.checked_sub(least)?;
    (reach >= REACH).then(|| (1..SLICES).map(|at| least + reach / SLICES * at).collect())
}

/// Each slice as a condition. The first and the last have no end of their own, so that no row is outside all of them.
fn conditions(key: &str, cuts: &[i128]) -> Vec<String> {
    let (Some(first), Some(last)) = (cuts.first(), cuts.last()) else { return Vec::new() };
    let between = cuts.iter().zip(cuts.iter().skip(1)).map(|(from, to)| format!("{key} >= {from} AND {key} < {to}"));
    [format!("{key} < {first}")].into_iter().chain(between).chain([format!("{key} >= {last}")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_leave_no_key_out_and_have_none_twice() {
        assert_eq!(cuts(1, 1 + REACH - 1), None, "too little to be worth it");
        assert_eq!(cuts(0, 4_000_000), Some(vec![1_000_000, 2_000_000, 3_000_000]));
        assert_eq!(cuts(i128::from(i64::MIN), i128::from(u64::MAX)).map(|cuts| cuts.len()), Some(3));
        let slices = conditions("`id`", &[-5, 0, 7]);
        assert_eq!(slices, ["`id` < -5", "`id` >= -5 AND `id` < 0", "`id` >= 0 AND `id` < 7", "`id` >= 7"]);
        assert_eq!(conditions("`id`", &[]), Vec::<String>::new());
    }
}
