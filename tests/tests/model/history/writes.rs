//! Writes and invalidations: the model is told what became of them.

use super::*;

impl History<'_> {
    pub(super) fn happened(
        &self,
        node: usize,
        scope: Scope,
        effect: Effect,
        reach: Reach,
        started: Tick,
    ) {
        let mut truth = self.truth();
        let (ended, at) = (truth.tick(), Instant::now());
        let delivered = None;
        truth.events.push(Event {
            node,
            scope,
            effect,
            reach,
            started,
            ended,
            at,
            delivered,
        });
    }

    pub(super) async fn set(&mut self, node: usize, name: Name, tags: Tags) -> Checked {
        let started = self.tick();
        let number = self.truth().bear(name, tags);
        let cache = self.nodes.0[node].namespace(name.namespace);
        let set = cache
            .set(text(name), &(number as u64))
            .tags(tags_of(tags))
            .await;
        let born = self.tick();
        self.truth().versions[number].born = born;
        let (effect, reach, started) = match set {
            Ok(()) => (Effect::Replaces(number), Reach::Applied, started),
            // Neither what was there nor what was written is shown, unless it certainly was not
            // carried out, which cannot be told from outside: then all is as it was.
            Err(_) => (Effect::Hides, Reach::Unsure, self.tick()),
        };
        self.happened(node, Scope::Key(name), effect, reach, started);
        Ok(())
    }

    pub(super) async fn invalidate(&mut self, node: usize, scope: Scope) -> Checked {
        let started = self.tick();
        let here = &self.nodes.0[node];
        let outcome = match scope {
            Scope::Key(name) => here.namespace(name.namespace).invalidate(text(name)).await,
            Scope::Tag(tag) => here.root().invalidate_tag(TAGS[tag]).await,
            Scope::Prefix(namespace, text) => {
                here.namespace(namespace)
                    .invalidate_pattern(&format!("{text}*"))
                    .await
            }
            Scope::Suffix(namespace, text) => {
                here.namespace(namespace)
                    .invalidate_pattern(&format!("*{text}"))
                    .await
            }
            Scope::Namespace(namespace) => here.namespace(namespace).clear().await,
            Scope::Everything => here.root().clear().await,
        };
        let reach = match outcome {
            Ok(Invalidated::Applied) => Reach::Applied,
            Ok(_) => Reach::Pending,
            Err(_) => Reach::Open,
        };
        self.tally.pending += u64::from(reach == Reach::Pending);
        self.happened(node, scope, Effect::Hides, reach, started);
        if let Scope::Key(name) = scope
            && let Some(counter) = self.counters.iter_mut().find(|it| it.name == name)
        {
            counter.gone(reach == Reach::Applied);
        }
        Ok(())
    }

    pub(super) async fn expire(&mut self, node: usize, name: Name, span: Span) -> Checked {
        let started = self.tick();
        let cache = self.nodes.0[node].namespace(name.namespace);
        let ttl = match span {
            Span::Short => SHORT,
            Span::Long => LONG,
        };
        let outcome = cache.expire(text(name), ttl).await;
        let end = Instant::now() + SHORT + GRAIN;
        if !matches!(outcome, Ok(false)) {
            self.forget_ends(name);
        }
        match (outcome, span) {
            (Ok(true), Span::Short) => {
                let reach = if self.quiet {
                    Reach::Applied
                } else {
                    Reach::Pending
                };
                self.happened(node, Scope::Key(name), Effect::Ends(end), reach, started);
            }
            (Err(_), Span::Short) => {
                self.happened(node, Scope::Key(name), Effect::Hides, Reach::Open, started);
            }
            _ => {}
        }
        Ok(())
    }

    /// Another time to live counts from now on.
    pub(super) fn forget_ends(&self, name: Name) {
        for event in &mut self.truth().events {
            if matches!((event.scope, event.effect), (Scope::Key(it), Effect::Ends(_)) if it == name)
            {
                event.reach = Reach::Open;
            }
        }
    }

    pub(super) async fn increment(&mut self, node: usize, name: Name, amount: i64) -> Checked {
        let reader = self.reader(Asking {
            node,
            name,
            strict: false,
        });
        let cache = self.nodes.0[node].namespace(name.namespace);
        let outcome = cache.increment(text(name), amount).await.ok();
        let truth = &mut self.truth.lock().expect("the truth");
        let counter = self.counters.iter_mut().find(|it| it.name == name);
        let counter = counter.expect("a counter");
        counter.incremented(truth, &reader, amount, outcome, TOUCH_BOUND)
    }

    pub(super) async fn count(&mut self, asking: Asking) -> Checked {
        let reader = self.reader(asking);
        let cache = self.nodes.0[asking.node].asked(asking);
        let Ok(read) = cache.get::<i64>(text(asking.name)).await else {
            return Ok(());
        };
        let counter = self.counters.iter().find(|it| it.name == asking.name);
        let counter = counter.expect("a counter");
        counter.permits(&self.truth(), &reader, read, self.quiet, TOUCH_BOUND)
    }
}
