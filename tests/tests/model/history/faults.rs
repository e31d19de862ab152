//! Faults, and their end.

use super::*;

impl History<'_> {
    pub(super) async fn fault(&mut self, fault: Fault) {
        self.quiet &= matches!(fault, Fault::FlushScripts | Fault::Mend);
        let backend = self.backend;
        match fault {
            Fault::Mend => self.mend(),
            Fault::Linger => sleep(TOUCH_BOUND + GRAIN).await,
            Fault::Cut => backend.proxy.cut_clients_off(),
            Fault::Isolate => {
                backend.proxy.hold();
                self.outage.get_or_insert(0);
            }
            Fault::Pause => {
                backend.server.pause();
                self.outage.get_or_insert(0);
            }
            // What is sent to a server that stands still is not answered.
            _ if self.outage.is_some() => {}
            Fault::FlushScripts => backend.command(&["SCRIPT", "FLUSH"]),
            Fault::KillClients => backend.command(&["CLIENT", "KILL", "TYPE", "normal"]),
            Fault::FlushAll => {
                let started = self.tick();
                self.lost = true;
                backend.command(&["FLUSHALL"]);
                // Who has missed that the log began anew once, and then once more, takes the server
                // for another one, and records again what it has recorded lately.
                let reach = match std::mem::replace(&mut self.emptied, true) {
                    true => Reach::Unsure,
                    false => Reach::Open,
                };
                self.happened(0, Scope::Everything, Effect::Hides, reach, started);
                self.counters
                    .iter_mut()
                    .for_each(|counter| counter.gone(true));
            }
        }
    }

    pub(super) fn mend(&mut self) {
        if self.outage.take().is_some() {
            self.backend.mend();
        }
    }

    pub(super) fn end_long_outage(&mut self) {
        match &mut self.outage {
            Some(operations) if *operations < LONGEST_OUTAGE => *operations += 1,
            _ => self.mend(),
        }
    }
}
