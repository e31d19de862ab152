//! One transaction from its beginning to its end, and how much of it reaches the disk with that.

use redb::{Database, Durability};

use super::batch::Batch;
use super::error::{Failure, Outcome};
use super::store::Store;

/// One transaction. Whether all of it, and all that was committed before, is on the disk.
pub(super) fn transact(
    database: &Database,
    store: &Store,
    is_sync: bool,
    work: impl FnOnce(&mut Batch<'_>) -> Outcome<()>,
) -> Outcome<bool> {
    let mut transaction = database.begin_write()?;
    let done = {
        let mut batch = Batch::begin(&transaction, store)?;
        work(&mut batch)?;
        batch.finish()?
    };
    let lasting = is_sync || done.lasting;
    let durability = transaction.set_durability(durability(lasting));
    durability.map_err(|error| Failure::File(error.into()))?;
    transaction.commit()?;
    store.committed();
    done.take_effect(store);
    Ok(lasting)
}

fn durability(lasting: bool) -> Durability {
    match lasting {
        true => Durability::Immediate,
        false => Durability::None,
    }
}
