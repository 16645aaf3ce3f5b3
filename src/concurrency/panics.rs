//! Catches panics and reports them without a caller's text.
//!
//! A formatted panic message may quote data: slicing a string inside a character quotes the string. So a message is
//! reported only if it is a literal in the source; otherwise the log has the place alone.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::error::{Error, Result};

/// Polls `work`; a panic in it becomes an internal error that says `context`.
///
/// State that the work shares with others must stay valid if the work stops anywhere. Here that state consists of numbers
/// and queues, each changed by a single statement.
pub async fn caught<T>(context: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|waker| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(waker))) {
        Ok(poll) => poll,
        Err(panic) => Poll::Ready(Err(Error::internal(context, message(&*panic)))),
    })
    .await
}

/// A panic's message if it is a literal, else a sentence that it is withheld.
pub fn message(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&'static str>();
    literal.map_or_else(
        || "the panic's message is withheld, because it may quote a text".to_owned(),
        |text| (*text).to_owned(),
    )
}

/// Logs every panic as one line with its place, instead of the standard library's message.
pub fn log_places() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let literal = panic.payload().downcast_ref::<&'static str>().copied();
        tracing::error!(place, cause = literal, "panic");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_panic_is_an_error_that_quotes_literals_only() {
        let chain = |work: fn() -> Result<()>| {
            let error = block_on(caught("the call panicked", async { work() })).unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Internal);
            error.chain().to_string()
        };
        assert!(chain(|| panic!("no such place")).contains("no such place"));
        let quoting = chain(|| {
            let text = std::hint::black_box("sécret".to_owned());
            Err(Error::internal("never reached", text[..2].to_owned()))
        });
        assert!(quoting.contains("withheld") && !quoting.contains("cret"), "{quoting}");
    }

    #[test]
    fn work_that_ends_well_is_left_alone() {
        assert_eq!(block_on(caught("the call panicked", async { Ok(5) })).unwrap(), 5);
    }
}
