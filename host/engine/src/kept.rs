//! What a lane has recorded and the disk may not hold yet.

use std::time::Duration;

use whimbrel_ledger::{Batch, Durability};

use crate::{
    Progress,
    context::{Context, Halt},
};

/// How long placements wait for the next intent, in whose flush they are. Nothing depends on them before: until then, the
/// intent that they close is open to who comes after a crash.
pub const MOMENT: Duration = Duration::from_millis(200);

/// Fates of a lane that are recorded and wait for a flush.
#[derive(Default)]
pub struct Kept {
    /// Items and bytes.
    waiting: Option<(u64, u64)>,
}

impl Kept {
    /// Records fates; they last from the next flush on.
    pub async fn keep(&mut self, context: &Context, batch: Batch, items: u64, bytes: u64) -> Result<(), Halt> {
        context.commit(batch, Durability::Later).await?;
        let (kept_items, kept_bytes) = self.waiting.unwrap_or_default();
        self.waiting = Some((kept_items + items, kept_bytes + bytes));
        Ok(())
    }

    /// Records something that must last before anything else is done, and all that was kept before it in the same flush.
    pub async fn commit(&mut self, context: &Context, batch: Batch) -> Result<(), Halt> {
        context.commit(batch, Durability::Flush).await?;
        self.tell(context);
        Ok(())
    }

    /// Makes everything recorded so far last.
    pub async fn flush(&mut self, context: &Context) -> Result<(), Halt> {
        if self.waiting.is_some() {
            context.flush().await?;
            self.tell(context);
        }
        Ok(())
    }

    /// Tells of what lasts now.
    fn tell(&mut self, context: &Context) {
        if let Some((items, bytes)) = self.waiting.take()
            && items > 0
        {
            context.observer.notify(Progress::Settled {
                mailbox: &context.mailbox.name,
                items,
                bytes,
            });
        }
    }
}
