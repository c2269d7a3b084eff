//! The limit on password checks of an account, kept in its row.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::table::name;
use super::{DatabaseError, UserId, Users};
use crate::deadline::Deadline;
use crate::limits::{Quota, Wait};

impl Users {
    /// Charges one password check to the account, in one conditional statement that holds across
    /// replicas; a refusal says how long to wait.
    ///
    /// # Errors
    ///
    /// [`DatabaseError`].
    pub async fn charge_password(
        &self,
        id: &UserId,
        quota: Option<Quota>,
        now: i64,
        deadline: Deadline,
    ) -> Result<Result<(), Wait>, DatabaseError> {
        let table = &self.table;
        let (Some(quota), Some(id_value), Some(column)) =
            (quota, table.id_value(id.as_str()), &table.passwords_tat)
        else {
            return Ok(Ok(()));
        };
        let tat = || Expr::col(name(column));
        let charged = Expr::case(tat().gt(now), tat().add(quota.interval()))
            .finally(now.saturating_add(quota.interval()));
        let mut charge = table.update(&id_value);
        charge
            .value(name(column), charged)
            .cond_where(tat().is_null().or(tat().lte(quota.latest_admissible(now))));
        if self.write(&charge, deadline).await? > 0 {
            return Ok(Ok(()));
        }

        let mut read = Query::select();
        read.column(name(column))
            .from(table.target())
            .and_where(table.id_is(&id_value));
        let Some(row) = deadline.bound(self.db.query_one(&read)).await?? else {
            return Ok(Ok(()));
        };
        let found: Option<i64> = row.try_get("", column)?;
        let (Some(found), latest) = (found, quota.latest(now)) else {
            return Ok(Err(quota.wait(now, now)));
        };
        if found > latest {
            // Written by a clock that was ahead, or by hand: never read as later than one period.
            let mut clamp = table.update(&id_value);
            clamp
                .value(name(column), latest)
                .cond_where(tat().eq(found));
            self.write(&clamp, deadline).await?;
        }
        Ok(Err(quota.wait(Ord::min(found, latest), now)))
    }
}
