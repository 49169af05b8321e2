//! The SVIDs of a dev server: its gateway's, and those of the sample workloads, minted through the same gates as everything
//! and renewed at half of their life.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use issuer::NewKey;
use model::Time;
use store::pem;
use tokio::time::sleep;

use crate::control::{Bearer, Control, Minted, NotMinted, SvidOrder};
use crate::files::write_whole;
use crate::live::Live;
use crate::net::tls::BadSvid;
use crate::net::{Stop, now};

/// Sample workloads that get an SVID, if the estate knows them.
pub const WORKLOADS: &[&str] = &["reporter"];
/// How often it is looked at whether one is due.
const EVERY: Duration = Duration::from_millis(250);
const LIFETIME: Duration = Duration::from_secs(3600);
/// Under which the gateway is reached whatever the estate says.
const LOCAL: &[&str] = &["localhost", "127.0.0.1"];

/// Why an SVID is not there.
#[derive(Debug, thiserror::Error)]
pub enum NoSvid {
    #[error("no key could be made")]
    Key,
    #[error(transparent)]
    Minting(#[from] NotMinted),
    #[error(transparent)]
    Unusable(#[from] BadSvid),
    #[error("what was minted is not PEM")]
    Pem(#[from] store::BadPem),
    #[error("cannot write `{}`", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Keeps the SVIDs of one dev server fresh.
pub struct Svids {
    control: Arc<Control>,
    root: PathBuf,
    owner: u32,
    gateway: Option<(Made, Vec<String>)>,
    workloads: BTreeMap<&'static str, Made>,
}

/// When an SVID is due for renewal, and whose it is.
struct Made {
    id: String,
    due: Time,
}

impl Svids {
    pub const fn new(control: Arc<Control>, root: PathBuf, owner: u32) -> Self {
        Self { control, root, owner, gateway: None, workloads: BTreeMap::new() }
    }

    /// Looks at them until asked to stop.
    pub async fn keep(mut self, mut stop: Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(EVERY) => {}
            }
            if let Err(error) = self.renew().await {
                tracing::error!(error = crate::causes::chain(&error), "an SVID is not renewed");
            }
        }
    }

    /// Mints what is missing or due.
    ///
    /// # Errors
    /// [`NoSvid`] for the first that cannot be had.
    pub async fn renew(&mut self) -> Result<(), NoSvid> {
        let (live, at) = (self.control.live().load_full(), now());
        let Some(domain) = &live.domain else { return Ok(()) };
        let mut hosts: Vec<String> = LOCAL.iter().map(|host| (*host).to_owned()).collect();
        hosts.extend(live.hosts.iter().filter(|host| !LOCAL.contains(&host.as_str())).cloned());
        let of_domain = format!("spiffe://{domain}/");
        let current = self
            .gateway
            .as_ref()
            .is_some_and(|(made, names)| at < made.due && made.id.starts_with(&of_domain) && *names == hosts);
        if !current {
            self.gateway = Some((self.gateway(hosts.clone(), at).await?, hosts));
        }
        for name in WORKLOADS {
            let Some(id) = known(&live, name) else { continue };
            if self.workloads.get(name).is_some_and(|made| at < made.due && made.id == id) {
                continue;
            }
            let fresh = self.workload(name, at).await?;
            self.workloads.insert(name, fresh);
        }
        Ok(())
    }

    async fn gateway(&self, hosts: Vec<String>, at: Time) -> Result<Made, NoSvid> {
        let (key, minted) = self.mint(Bearer::Part { name: "gateway", hosts }).await?;
        self.control.own_svid().install(&[pem::decode("CERTIFICATE", &minted.svid)?], &key.pkcs8)?;
        write(&self.root.join("ca.pem"), minted.bundle.as_bytes(), 0o644)?;
        Ok(Made::new(&minted, at))
    }

    async fn workload(&self, name: &str, at: Time) -> Result<Made, NoSvid> {
        let (key, minted) = self.mint(Bearer::Principal(name.to_owned())).await?;
        save(&self.root.join("svids").join(name), &key, &minted)?;
        Ok(Made::new(&minted, at))
    }

    async fn mint(&self, bearer: Bearer) -> Result<(NewKey, Minted), NoSvid> {
        let key = NewKey::make().or(Err(NoSvid::Key))?;
        let order = SvidOrder { bearer, request: key.request.clone(), ttl: LIFETIME };
        Ok((key, self.control.mint_as_owner(order, self.owner).await?))
    }
}

impl Made {
    fn new(minted: &Minted, at: Time) -> Self {
        // an end that cannot be read is due at once
        let end: Time = minted.expires.parse().unwrap_or(at);
        Self { id: minted.id.clone(), due: at.plus(end.since(at) / 2) }
    }
}

/// Writes `svid.pem`, `svid.key` (0600) and `bundle.pem` into a directory.
///
/// # Errors
/// [`NoSvid::Io`].
pub fn save(directory: &Path, key: &NewKey, minted: &Minted) -> Result<(), NoSvid> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| NoSvid::Io { path: directory.to_owned(), source })?;
    // the key first: a certificate is never there without it
    write(&directory.join("svid.key"), pem::encode("PRIVATE KEY", &key.pkcs8).as_bytes(), 0o600)?;
    write(&directory.join("svid.pem"), minted.svid.as_bytes(), 0o644)?;
    write(&directory.join("bundle.pem"), minted.bundle.as_bytes(), 0o644)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), NoSvid> {
    write_whole(path, bytes, mode).map_err(|source| NoSvid::Io { path: path.to_owned(), source })
}

/// The id of a sample workload of the estate in force.
fn known(live: &Live, name: &str) -> Option<String> {
    live.about.principals.get(name).map(ToString::to_string)
}
