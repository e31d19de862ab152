//! Reads: what they return is compared with the model.

use super::*;

impl History<'_> {
    /// Starts a `get_or_set`; what it loads is held back if `held`.
    pub(super) fn begin(&self, asking: Asking, tags: Tags, held: bool) -> Open {
        let cache = self.nodes.0[asking.node].asked(asking);
        let reader = self.reader(asking);
        let (gate, hold) = Gate::new();
        let gate = held.then_some(gate);
        let truth = Arc::clone(&self.truth);
        let task = tokio::spawn(async move {
            let load = || async {
                let version = truth.lock().expect("the truth").bear(asking.name, tags);
                hold.pass().await;
                Ok::<_, Infallible>(version as u64)
            };
            let options = EntryOptions::new().tags(tags_of(tags));
            let Ok(value) = cache
                .get_or_set_with(text(asking.name), options, load)
                .await;
            value
        });
        Open { reader, task, gate }
    }

    pub(super) async fn load(&mut self, asking: Asking, tags: Tags, held: bool) -> Checked {
        let cache = self.nodes.0[asking.node].asked(asking);
        let waiting = followers(&cache, text(asking.name));
        let before = cache.metrics();
        let open = self.begin(asking, tags, held);
        let reader = open.reader;
        let deadline = Instant::now() + PATIENCE;
        while !open.task.is_finished() {
            let entered = match &open.gate {
                Some(gate) => timeout(Duration::from_millis(1), gate.entered())
                    .await
                    .is_ok(),
                None => {
                    sleep(Duration::from_micros(200)).await;
                    false
                }
            };
            if entered || followers(&cache, text(asking.name)) > waiting {
                self.tally.held += u64::from(entered);
                self.open.push(open);
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{reader:?} neither returns nor loads nor waits"));
            }
        }
        let read = self.answered(open).await?;
        let disturbed = was_disturbed(before, cache.metrics());
        self.check(&reader, Some(read), disturbed)
    }

    /// The result of a read that has returned, or returns now.
    pub(super) async fn answered(&mut self, open: Open) -> Checked<u64> {
        drop(open.gate);
        let reader = open.reader;
        match timeout(PATIENCE, open.task).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => Err(format!("{reader:?} failed: {error}")),
            Err(_) => Err(format!("{reader:?} does not return")),
        }
    }

    pub(super) async fn finish(&mut self, index: usize) -> Checked {
        let first = self.open.swap_remove(index);
        let reader = first.reader;
        let same = |open: &Open| open.reader.node == reader.node && open.reader.name == reader.name;
        let mut along = vec![first];
        // Those who wait for it return as well, and so does whoever they wait for.
        while let Some(other) = self.open.iter().position(same) {
            along.push(self.open.swap_remove(other));
        }
        for open in &along {
            open.gate.iter().for_each(Gate::open);
        }
        for open in along {
            let reader = open.reader;
            let read = self.answered(open).await?;
            self.permit(&reader, read)?;
        }
        Ok(())
    }

    pub(super) async fn get(&mut self, asking: Asking) -> Checked {
        let cache = self.nodes.0[asking.node].asked(asking);
        let reader = self.reader(asking);
        match cache.get::<u64>(text(asking.name)).await {
            Ok(read) => self.check(&reader, read, false),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn permit(&mut self, reader: &Reader, read: u64) -> Checked {
        self.tally.reads += 1;
        let number = usize::try_from(read).expect("the number of a version");
        self.truth().permits(reader, number, TOUCH_BOUND)
    }

    /// What was read must be permitted; where only one answer is possible, it must be that one.
    pub(super) fn check(&mut self, reader: &Reader, read: Option<u64>, disturbed: bool) -> Checked {
        if let Some(read) = read {
            self.permit(reader, read)?;
        }
        let demanded = self.truth().demands(reader, TOUCH_BOUND);
        let Some(demanded) = demanded.filter(|_| self.quiet && !disturbed) else {
            return Ok(());
        };
        self.tally.demanded += 1;
        match read == Some(demanded as u64) {
            true => Ok(()),
            false => Err(format!(
                "lost: {reader:?}\nreturned {read:?}, not {demanded}\n{:?}",
                self.truth()
            )),
        }
    }
}

/// Whether the cache could not be asked, for whatever reason.
fn was_disturbed(before: Metrics, after: Metrics) -> bool {
    (before.errors, before.bypassed) != (after.errors, after.bypassed)
}
