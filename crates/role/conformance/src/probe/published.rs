//! The bundle endpoint: fetched once, as a client of profile `https_web` does.

use net::{FetchFailed, Plain, Reach, Remote, Roots};

use crate::seen::{NoDocument, Published, Unpublished};

/// What an endpoint says to those who should show who they are (RFC 9110 §15.5.2, §15.5.4, §15.5.8).
const WHO_ARE_YOU: [u16; 3] = [401, 403, 407];

pub(super) async fn fetch(url: &str) -> Published {
    let fetched = match Remote::new(url, Reach::Private, Plain::OnLoopback, Roots::Platform) {
        Ok(remote) => net::fetch(&remote).await.map_err(|error| Unpublished {
            why: net::causes::chain(&error),
            cause: if asks_who_is_there(&error) { NoDocument::WantsCredentials } else { NoDocument::Failed },
        }),
        Err(error) => Err(Unpublished { why: net::causes::chain(&error), cause: NoDocument::Url }),
    };
    Published { url: url.to_owned(), document: fetched.map(|fetched| fetched.document.to_vec()) }
}

fn asks_who_is_there(error: &FetchFailed) -> bool {
    matches!(error, FetchFailed::Status(status) if WHO_ARE_YOU.contains(&status.as_u16()))
}
