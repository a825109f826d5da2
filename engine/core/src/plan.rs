//! The Plan: what will run, with which input, access and limits.
//!
//! Only [`Resolved::authorize`] makes one, so that running something
//! unauthorized does not type-check. It is never serialized and never stored:
//! what waits is the request, and it is authorized again when its turn comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::call::Calls;
use crate::capability::{Access, Grants, Missing, Requests, Surplus};
use crate::credential::Credentials;
use crate::execution::Trigger;
use crate::failure::Outcome;
use crate::id::ExecutionId;
use crate::limit::Limits;
use crate::program::{Entry, Program};
use crate::sqlite::Databases;
use crate::task::Occasion;
use crate::witness::{BoxFuture, StateSource, Witness};

/// What an execution is given to work on.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Params, checked and complete; a typed function's arguments by name.
    pub params: Map<String, Value>,
    /// Standard input, for commands.
    pub stdin: Vec<u8>,
    /// Values of the environment variables that the program asks for; which of
    /// them it sees is the plan's to say.
    pub env: BTreeMap<String, String>,
}

/// A resolved request to run something: step 1's answer, before anybody asked
/// whether it may.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The execution's identity.
    pub id: ExecutionId,
    /// Which attempt, counted from 1.
    pub attempt: u32,
    /// What asked for it.
    pub trigger: Trigger,
    /// Why, beside that.
    pub occasion: Occasion,
    /// On whom grants hang: for the command line, the program's real path and
    /// function.
    pub subject: String,
    /// The program.
    pub program: Arc<Program>,
    /// Which of its doors.
    pub entry: Entry,
    /// What it works on.
    pub input: Input,
    /// Its ceilings.
    pub limits: Limits,
    /// What it asks for.
    pub requests: Requests,
}

impl Resolved {
    /// Step 2: requests ∩ grants. What is missing does not stop a run; the
    /// guest is refused when it gets there.
    ///
    /// # Errors
    ///
    /// [`Surplus`] where a grant lies outside of what the program declares.
    pub fn authorize(self, grants: &Grants) -> Result<Plan, Surplus> {
        let (access, missing) = Access::intersect(&self.requests, grants)?;
        Ok(Plan { resolved: self, access, missing })
    }
}

/// An authorized execution.
#[derive(Debug)]
pub struct Plan {
    resolved: Resolved,
    access: Access,
    missing: Missing,
}

impl Plan {
    /// What was resolved.
    #[must_use]
    pub const fn resolved(&self) -> &Resolved {
        &self.resolved
    }

    /// All that the run will hold.
    #[must_use]
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// What the program asks for and was not granted.
    #[must_use]
    pub const fn missing(&self) -> &Missing {
        &self.missing
    }
}

/// What a run is lent from above.
pub struct Lent {
    /// Told what happens.
    pub witness: Arc<dyn Witness>,
    /// What earlier runs left.
    pub state: Arc<dyn StateSource>,
    /// What it may use of the vault.
    pub credentials: Arc<dyn Credentials>,
    /// Who works on the databases that it was granted.
    pub databases: Arc<dyn Databases>,
    /// Who starts what it calls.
    pub calls: Arc<dyn Calls>,
    /// How many executions called each other to come to this one; 0: nobody
    /// called it. One that was called runs on its first caller's permit.
    pub depth: u32,
    /// Resolves when somebody cancels the run.
    pub cancelled: BoxFuture<'static, ()>,
}

/// Step 3. One small trait, and everything it needs is in the Plan and in what
/// is lent, so that a run may one day happen on another machine.
pub trait Runner: Send + Sync {
    /// Runs to the end. Never fails: what goes wrong is in the outcome, with
    /// its blame. When it answers, the guest is gone.
    fn run(&self, plan: Arc<Plan>, lent: Lent) -> BoxFuture<'_, Outcome>;
}
