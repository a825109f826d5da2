//! A task's state, as a person looks at it.

use wardroom_db::DbError;

use super::TaskError;
use crate::wardroom::Wardroom;

impl Wardroom {
    /// All keys and values that a task's successful executions left.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`], or [`TaskError::Db`].
    pub fn task_state(&self, name: &str) -> Result<Vec<(String, String)>, TaskError> {
        Ok(self.db.state(&self.task(name)?.id().subject())?)
    }

    /// Forgets a task's state, or one key of it; answers how many keys those
    /// were.
    ///
    /// # Errors
    ///
    /// [`TaskError::Unknown`], or [`TaskError::Db`].
    pub async fn clear_task_state(&self, name: &str, key: Option<&str>) -> Result<usize, TaskError> {
        let subject = self.task(name)?.id().subject();
        let cleared: Result<usize, DbError> = self.db.clear_state(&subject, key).await;
        Ok(cleared?)
    }
}
