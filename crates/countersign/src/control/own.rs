//! The SVID of the process itself, minted through the same gates as everyone's and renewed at half of its life, or at
//! once where its authority is tainted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use net::now;
use net::svid::{Made, Minted, Unused, install, new_key, write};

use super::svids::{Bearer, SvidOrder};
use super::{Control, NotMinted};
use crate::issuing::own_part;

const LIFETIME: Duration = Duration::from_secs(3600);

/// Why an SVID is not there.
#[derive(Debug, thiserror::Error)]
pub enum NoSvid {
    #[error(transparent)]
    Minting(#[from] NotMinted),
    #[error(transparent)]
    Unused(#[from] Unused),
}

/// Keeps the SVID of a part of the product fresh.
pub struct OwnPart {
    control: Arc<Control>,
    part: &'static str,
    owner: u32,
    /// Where the authorities of the trust domain are written, in PEM.
    ca: PathBuf,
    told: String,
    made: Option<(Made, Vec<String>)>,
}

impl OwnPart {
    pub const fn new(control: Arc<Control>, part: &'static str, owner: u32, ca: PathBuf) -> Self {
        Self { control, part, owner, ca, told: String::new(), made: None }
    }

    /// Mints it if it is missing or due, or names other hosts; nothing before there is a trust domain to issue for.
    ///
    /// # Errors
    /// [`NoSvid`].
    pub async fn renew(&mut self, hosts: Vec<String>) -> Result<(), NoSvid> {
        let at = now();
        let Some(issuer) = self.control.issuer() else { return Ok(()) };
        let id = own_part(issuer.domain(), self.part);
        let tainted = self.control.own_svid().is_tainted(&issuer.authorities());
        let fits = |(made, names): &(Made, Vec<String>)| at < made.due && made.id == id && *names == hosts;
        if self.made.as_ref().is_some_and(fits) && !tainted {
            self.tell(issuer.bundle_pem())?;
            return Ok(());
        }
        let key = new_key()?;
        let bearer = Bearer::Part { id, hosts: hosts.clone() };
        let order = SvidOrder { bearer, request: key.request.clone(), ttl: LIFETIME };
        let minted: Minted = self.control.mint_as_owner(order, self.owner).await?;
        install(self.control.own_svid(), &key, &minted)?;
        self.made = Some((Made::new(&minted, at), hosts));
        self.tell(minted.bundle)
    }

    /// Writes the authorities of the trust domain, for whoever connects, if they are others than were written last.
    fn tell(&mut self, bundle: String) -> Result<(), NoSvid> {
        if self.told != bundle {
            write(&self.ca, bundle.as_bytes(), 0o644)?;
            self.told = bundle;
        }
        Ok(())
    }
}
