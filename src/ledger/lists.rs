//! Lists by id, a page at a time, and entries kept as JSON.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, Row, params_from_iter};
use serde::de::DeserializeOwned;

use super::{Listed, Page};
use crate::domain::{TenantId, Timestamp};

/// Entries of `table` (which has the columns `tenant`, `id` and `entry`) on one page, those that are as `wanted`: conditions
/// with a `?` each, left out where they have no value. Cost grows with the page, not with the table: each bound is a place
/// in an index.
pub(super) fn list<T: DeserializeOwned>(
    db: &Connection,
    table: &str,
    tenant: &TenantId,
    wanted: &[(&str, Option<&str>)],
    page: &Page<String>,
) -> rusqlite::Result<Listed<T>> {
    let limit = page.limit.clamp(1, 100);
    // A page that leads up to an id is found walking back from it, then turned round.
    let back = page.before.is_some() && page.after.is_none();
    let (above, below) = if page.descending { (&page.before, &page.after) } else { (&page.after, &page.before) };
    let bounds = [("id > ?", above.as_deref()), ("id < ?", below.as_deref())];

    let mut sql = format!("SELECT entry FROM {table} WHERE tenant = ?");
    let mut values = vec![tenant.as_str()];
    let conditions = wanted.iter().copied().chain(bounds);
    for (condition, value) in conditions.filter_map(|(condition, value)| Some((condition, value?))) {
        sql += " AND ";
        sql += condition;
        values.push(value);
    }
    sql += if page.descending == back { " ORDER BY id ASC LIMIT " } else { " ORDER BY id DESC LIMIT " };
    // One more than wanted tells whether more follow.
    sql += &(limit + 1).to_string();

    let mut statement = db.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| entry(row, 0))?;
    let mut entries = rows.collect::<rusqlite::Result<Vec<T>>>()?;
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    if back {
        entries.reverse();
    }
    Ok(Listed { entries, has_more })
}

impl<Id: ToString> Page<Id> {
    /// The same page with ids as the tables hold them.
    pub(super) fn by_text(&self) -> Page<String> {
        Page {
            limit: self.limit,
            after: self.after.as_ref().map(ToString::to_string),
            before: self.before.as_ref().map(ToString::to_string),
            descending: self.descending,
        }
    }
}

/// A column of JSON.
pub(super) fn entry<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text = row.get_ref(column)?.as_str().map_err(|error| damaged(column, error))?;
    serde_json::from_str(text).map_err(|error| damaged(column, error))
}

/// A column of milliseconds.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

/// A column of a tenant's id.
pub(super) fn tenant(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<TenantId>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| TenantId::parse(&text).map_err(|error| damaged(column, error))).transpose()
}

/// A count or sum, which is never below 0.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| damaged(column, FromSqlError::OutOfRange(number)))
}

/// What a column should not hold.
pub(super) fn damaged(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
