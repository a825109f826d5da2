//! The native half of `sqlite`: values between SQLite's five types and
//! JavaScript's. Which databases there are, the engine decides.

use rquickjs::{Array, BigInt, Ctx, Exception, IntoJs, Object, Result, TypedArray, Value, convert::List, prelude::Func};

use crate::bindings::wardroom::automation::sqlite::{self, Changes, Error, Statement, Value as SqlValue};
use crate::text::{Bytes, Text};

/// One function that makes the others: a script without databases pays for no more.
pub(crate) fn install(host: &Object<'_>) -> Result<()> {
    host.set("sqlite", Func::from(natives))
}

fn natives(ctx: Ctx<'_>) -> Result<Object<'_>> {
    let natives = Object::new(ctx)?;
    natives.set("query", Func::from(query))?;
    natives.set("execute", Func::from(execute))?;
    natives.set("snapshot", Func::from(snapshot))?;
    Ok(natives)
}

/// `[error, value]` for the prelude, the error itself being `[kind, message]`.
type Answer<T> = List<(Option<List<(&'static str, String)>>, Option<T>)>;

fn answer<T>(result: std::result::Result<T, Error>) -> Answer<T> {
    let (kind, message) = match result {
        Ok(value) => return List((None, Some(value))),
        Err(Error::NotGranted(message)) => ("notGranted", message),
        Err(Error::ReadOnly(message)) => ("readOnly", message),
        Err(Error::Busy(message)) => ("busy", message),
        Err(Error::Sql(message)) => ("sql", message),
        Err(Error::TooLarge(message)) => ("tooLarge", message),
        Err(Error::Gone(message)) => ("gone", message),
        Err(Error::Exists(message)) => ("exists", message),
        Err(Error::Target(message)) => ("target", message),
    };
    List((Some(List((kind, message))), None))
}

/// Columns, rows as arrays in their order, and whether there was more.
type Found<'js> = List<(Vec<String>, Vec<Array<'js>>, bool)>;

fn query<'js>(ctx: Ctx<'js>, database: Text, sql: Text, params: Array<'js>) -> Result<Answer<Found<'js>>> {
    let found = match sqlite::query(&database.0, &sql.0, &values(&ctx, &params)?) {
        Ok(found) => found,
        Err(error) => return Ok(answer(Err(error))),
    };
    let mut rows = Vec::with_capacity(found.rows.len());
    for row in found.rows {
        let values = Array::new(ctx.clone())?;
        for (index, value) in row.into_iter().enumerate() {
            values.set(index, shown(&ctx, value)?)?;
        }
        rows.push(values);
    }
    Ok(answer(Ok(List((found.columns, rows, found.truncated)))))
}

/// Statements as `[sql, params]`; answers `[rows, lastInsertId]` of each.
fn execute<'js>(ctx: Ctx<'js>, database: Text, statements: Array<'js>) -> Result<Answer<Vec<List<(f64, Value<'js>)>>>> {
    let mut wanted = Vec::new();
    for statement in statements.iter::<Array<'js>>() {
        let statement = statement?;
        wanted.push(Statement { sql: statement.get::<Text>(0)?.0, params: values(&ctx, &statement.get(1)?)? });
    }
    let changed = |Changes { rows, last_insert_id }| Ok(List((rows as f64, whole(&ctx, last_insert_id)?)));
    Ok(answer(match sqlite::execute(&database.0, &wanted) {
        Ok(changes) => Ok(changes.into_iter().map(changed).collect::<Result<_>>()?),
        Err(error) => Err(error),
    }))
}

fn snapshot(database: Text, target: Text) -> Answer<f64> {
    answer(sqlite::snapshot(&database.0, &target.0).map(|bytes| bytes as f64))
}

/// The prelude has brought every param into one of these forms.
fn values<'js>(ctx: &Ctx<'js>, params: &Array<'js>) -> Result<Vec<SqlValue>> {
    params.iter::<Value<'js>>().map(|value| wanted(ctx, value?)).collect()
}

fn wanted<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<SqlValue> {
    if value.is_null() {
        Ok(SqlValue::Null)
    } else if let Some(number) = value.as_big_int() {
        Ok(SqlValue::Integer(number.clone().to_i64()?))
    } else if let Some(number) = value.as_number() {
        Ok(SqlValue::Real(number))
    } else if value.is_string() {
        Ok(SqlValue::Text(value.get::<Text>()?.0))
    } else if value.is_object() {
        Ok(SqlValue::Blob(value.get::<Bytes>()?.0))
    } else {
        Err(Exception::throw_internal(ctx, "no value of a database"))
    }
}

fn shown<'js>(ctx: &Ctx<'js>, value: SqlValue) -> Result<Value<'js>> {
    match value {
        SqlValue::Null => Ok(Value::new_null(ctx.clone())),
        SqlValue::Integer(number) => whole(ctx, number),
        SqlValue::Real(number) => Ok(Value::new_float(ctx.clone(), number)),
        SqlValue::Text(text) => text.into_js(ctx),
        SqlValue::Blob(bytes) => TypedArray::<u8>::new(ctx.clone(), bytes)?.into_js(ctx),
    }
}

/// A number where it is exact, else a BigInt.
fn whole<'js>(ctx: &Ctx<'js>, number: i64) -> Result<Value<'js>> {
    const EXACT: i64 = (1 << 53) - 1;
    if (-EXACT..=EXACT).contains(&number) {
        return Ok(Value::new_number(ctx.clone(), number as f64));
    }
    BigInt::from_i64(ctx.clone(), number)?.into_js(ctx)
}
