//! Estates by their digests, compressed. They are kept for as long as an epoch or a record may name them.

use std::io::{self, Read, Write};

use model::Digest;
use sqlx::Error;

use super::database::{Transaction, Value};
use super::{State, StateFault};

/// Largest estate that is read back, in bytes: more than any that can be applied.
const MAX_DOCUMENT: u64 = 256 * 1024 * 1024;
const LEVEL: i32 = 3;

const INSERT: &str = "INSERT INTO estates (digest, document) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const SELECT: &str = "SELECT document FROM estates WHERE digest = $1";

impl State {
    /// Keeps an estate; one that is kept already stays as it is.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn keep_estate(&self, digest: Digest, document: &[u8]) -> Result<(), StateFault> {
        let compressed = compress(document).map_err(|error| self.database.fault(&error))?;
        let keep = || async {
            let mut tx = self.database.begin().await?;
            insert(&mut tx, digest, &compressed).await?;
            tx.commit().await
        };
        self.database.within(keep).await
    }

    /// The estate with that digest, if it is kept here.
    ///
    /// # Errors
    /// [`StateFault`].
    pub async fn estate(&self, digest: Digest) -> Result<Option<Vec<u8>>, StateFault> {
        let digest = digest.to_string();
        let find = || async {
            let rows = self.database.rows(SELECT, &[Value::Text(&digest)]).await?;
            rows.first().map(|row| decompress(&row.bytes(0)?)).transpose()
        };
        self.database.within(find).await
    }
}

pub(super) async fn insert(tx: &mut Transaction, digest: Digest, compressed: &[u8]) -> Result<(), Error> {
    tx.execute(INSERT, &[Value::Text(&digest.to_string()), Value::Bytes(compressed)]).await
}

pub(super) fn compress(document: &[u8]) -> Result<Vec<u8>, Error> {
    let compressed = || -> io::Result<Vec<u8>> {
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
        // damage is told from a document
        encoder.include_checksum(true)?;
        encoder.write_all(document)?;
        encoder.finish()
    };
    compressed().map_err(|error| Error::Encode(error.into()))
}

fn decompress(compressed: &[u8]) -> Result<Vec<u8>, Error> {
    let document = || -> io::Result<Vec<u8>> {
        let mut document = Vec::new();
        let read = zstd::Decoder::new(compressed)?.take(MAX_DOCUMENT + 1).read_to_end(&mut document)?;
        if read as u64 > MAX_DOCUMENT { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(document) }
    };
    document().map_err(|error| Error::Decode(error.into()))
}
