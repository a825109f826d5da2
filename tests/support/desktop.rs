//! A fake of a desktop's notification service: on a real session bus, under the
//! service's real name, it writes down what it is told and shows nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zbus::zvariant::OwnedValue;

use super::PATIENCE;

/// What a notification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) title: String,
    pub(crate) body: String,
}

type Heard = Arc<Mutex<Vec<Shown>>>;

struct Service(Heard);

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Service {
    #[expect(clippy::too_many_arguments, clippy::needless_pass_by_value, reason = "the specification's")]
    fn notify(
        &mut self,
        app: String,
        replaces: u32,
        icon: String,
        title: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedValue>,
        timeout: i32,
    ) -> u32 {
        assert_eq!((app.as_str(), replaces, icon.as_str(), actions.len(), timeout), ("Wardroom", 0, "", 0, -1), "{hints:?}");
        self.0.lock().unwrap().push(Shown { title, body });
        1
    }
}

/// The fake, while it lives.
pub(crate) struct FakeDesktop {
    heard: Heard,
    _bus: zbus::blocking::Connection,
}

impl FakeDesktop {
    pub(crate) fn on(address: &str) -> Self {
        let heard = Heard::default();
        let builder = zbus::blocking::connection::Builder::address(address).unwrap();
        let served = builder.serve_at("/org/freedesktop/Notifications", Service(heard.clone())).unwrap();
        let bus = served.name("org.freedesktop.Notifications").unwrap().build().unwrap();
        Self { heard, _bus: bus }
    }

    pub(crate) fn shown(&self) -> Vec<Shown> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits for so many notifications.
    pub(crate) fn until(&self, count: usize) -> Vec<Shown> {
        let start = Instant::now();
        while self.shown().len() < count {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {count} notifications: {:?}", self.shown());
            std::thread::sleep(Duration::from_millis(20));
        }
        self.shown()
    }
}
