//! The SVIDs of a dev server: its gateway's, and those of the sample workloads, minted through the same gates as everything
//! and renewed at half of their life.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::Time;
use net::svid::{Made, new_key, save};
use net::{Stop, now};
use tokio::time::sleep;

use crate::control::{Bearer, Control, NoSvid, OwnPart, SvidOrder};
use crate::live::Live;

/// Sample workloads that get an SVID, if the estate knows them.
pub const WORKLOADS: &[&str] = &["reporter"];
/// How often it is looked at whether one is due.
const EVERY: Duration = Duration::from_millis(250);
const LIFETIME: Duration = Duration::from_secs(3600);
/// Under which the gateway is reached whatever the estate says.
const LOCAL: &[&str] = &["localhost", "127.0.0.1"];

/// Keeps the SVIDs of one dev server fresh.
pub struct Svids {
    control: Arc<Control>,
    root: PathBuf,
    owner: u32,
    gateway: OwnPart,
    /// Each with who signed it.
    workloads: BTreeMap<&'static str, (Made, Option<String>)>,
}

impl Svids {
    pub fn new(control: Arc<Control>, root: PathBuf, owner: u32) -> Self {
        let gateway = OwnPart::new(Arc::clone(&control), "gateway", owner, root.join("ca.pem"));
        Self { control, root, owner, gateway, workloads: BTreeMap::new() }
    }

    /// Looks at them until asked to stop.
    pub async fn keep(mut self, mut stop: Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = sleep(EVERY) => {}
            }
            if let Err(error) = self.renew().await {
                tracing::error!(error = net::causes::chain(&error), "an SVID is not renewed");
            }
        }
    }

    /// Mints what is missing or due.
    ///
    /// # Errors
    /// [`NoSvid`] for the first that cannot be had.
    pub async fn renew(&mut self) -> Result<(), NoSvid> {
        let (live, at) = (self.control.live().load_full(), now());
        if live.domain.is_none() {
            return Ok(());
        }
        let mut hosts: Vec<String> = LOCAL.iter().map(|host| (*host).to_owned()).collect();
        hosts.extend(live.hosts.iter().filter(|host| !LOCAL.contains(&host.as_str())).cloned());
        self.gateway.renew(hosts).await?;
        for name in WORKLOADS {
            let Some(id) = known(&live, name) else { continue };
            let fits = |(made, signed_by): &(Made, Option<String>)| {
                let tainted = signed_by.as_ref().is_some_and(|by| live.snapshot.sources.authorities().taint(by));
                at < made.due && made.id == id && !tainted
            };
            if self.workloads.get(name).is_some_and(fits) {
                continue;
            }
            let fresh = self.workload(name, at).await?;
            self.workloads.insert(name, fresh);
        }
        Ok(())
    }

    async fn workload(&self, name: &str, at: Time) -> Result<(Made, Option<String>), NoSvid> {
        let key = new_key()?;
        let bearer = Bearer::Principal(name.to_owned());
        let order = SvidOrder { bearer, request: key.request.clone(), ttl: LIFETIME };
        let minted = self.control.mint_as_owner(order, self.owner).await.map_err(NoSvid::from)?;
        save(&self.root.join("svids").join(name), &key, &minted)?;
        Ok((Made::new(&minted, at), minted.signed_by()))
    }
}

/// The id of a sample workload of the estate in force.
fn known(live: &Live, name: &str) -> Option<String> {
    live.about.principals.get(name).map(ToString::to_string)
}
