//! What must hold once everything is delivered.

use super::*;

impl History<'_> {
    pub(super) async fn count_all(&mut self) -> Checked {
        let names: Vec<_> = self.counters.iter().map(|counter| counter.name).collect();
        for (name, node) in names
            .into_iter()
            .flat_map(|name| (0..NODES).map(move |node| (name, node)))
        {
            self.count(Asking {
                node,
                name,
                strict: false,
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn settle(&mut self) -> Checked {
        self.mend();
        self.nodes.settle().await?;
        let waited = |it: &Event, name| it.may_wait() && it.scope.holds(name, 0);
        let truth = &mut self.truth.lock().expect("the truth");
        for counter in &mut self.counters {
            if truth
                .events
                .iter()
                .any(|it| it.delivered.is_none() && waited(it, counter.name))
            {
                counter.gone(false);
            }
        }
        truth.delivered(self.quiet);
        (self.quiet, self.emptied) = (true, false);
        Ok(())
    }

    /// Once all is delivered and nothing is under way, memory is as the server is, on every node;
    /// unless a node that had yet to learn that the log began anew has replaced what it could not
    /// judge: copies in memory may outlive that, as they outlive an eviction.
    pub(super) async fn agree(&mut self) -> Checked {
        if self.lost {
            return Ok(());
        }
        let names = (0..NAMESPACES.len())
            .flat_map(|namespace| (0..COUNTERS).map(move |key| Name { namespace, key }));
        for name in names
            .filter(|name| !self.is_ending(*name))
            .collect::<Vec<_>>()
        {
            let mut reads = Vec::new();
            for node in 0..NODES {
                let asking = Asking {
                    node,
                    name,
                    strict: false,
                };
                let cache = self.nodes.0[node].asked(asking);
                for cache in [cache.without_memory_tier(), cache] {
                    let reader = self.reader(asking);
                    if let Ok(read) = cache.get::<u64>(text(name)).await {
                        self.check(&reader, read, false)?;
                        reads.push(read);
                    }
                }
            }
            if reads.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(format!(
                    "the tiers disagree on {name:?}: {reads:?}\n{:?}",
                    self.truth()
                ));
            }
        }
        Ok(())
    }

    pub(super) fn is_ending(&self, name: Name) -> bool {
        let ends = |it: &Event| matches!(it.effect, Effect::Ends(_)) && it.scope.holds(name, 0);
        self.truth().events.iter().any(ends)
    }
}
