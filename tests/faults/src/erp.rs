//! The sandbox ERP, a process of its own. It is never killed: it is the oracle.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context as _;
use sandbox::{
    AccountSummary, Change, EffectPage, EffectRow, EntityPage, EntityRow, RequestPage, RequestRow, Requests,
    Summary,
};
use serde::de::DeserializeOwned;
use testkit::Process;

use crate::{
    admin::Admin,
    class::Class,
    world::{address, counterfoil},
};

const START: Duration = Duration::from_secs(30);

pub struct Erp {
    /// Where it listens, `host:port`.
    pub address: String,
    _process: Process,
    http: reqwest::Client,
}

impl Erp {
    pub async fn start(dir: &Path, http: reqwest::Client) -> anyhow::Result<Self> {
        let (listen, admin) = (address()?, address()?);
        let command = counterfoil(&["serve", "sandbox", "--listen", &listen, "--admin-listen", &admin])?;
        let process = Process::spawn("sandbox", command, &dir.join("sandbox.log"))?;
        Admin::new(admin, http.clone()).ready(&process, START).await.context("the ERP")?;
        Ok(Self { address: listen, _process: process, http })
    }

    /// How a tenant's account behaves from now on.
    pub async fn change(&self, class: Class, change: Change) -> anyhow::Result<()> {
        let url = format!("http://{}/admin/accounts/{class}", self.address);
        self.http.put(url).json(&change).send().await?.error_for_status()?;
        Ok(())
    }

    pub async fn accounts(&self) -> anyhow::Result<BTreeMap<String, AccountSummary>> {
        Ok(self.get::<Summary>("/admin/summary").await?.accounts)
    }

    pub async fn counts(&self, class: Class) -> anyhow::Result<Requests> {
        self.get(&format!("/admin/accounts/{class}/requests/count")).await
    }

    /// Every effect that the tenant's events had.
    pub async fn effects(&self, class: Class) -> anyhow::Result<Vec<EffectRow>> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/admin/accounts/{class}/effects?limit=10000&after={after}");
            let page: EffectPage = self.get(&path).await?;
            rows.extend(page.effects);
            match page.next {
                Some(next) => after = next,
                None => return Ok(rows),
            }
        }
    }

    /// Every entity, with the versions that were applied in their order.
    pub async fn entities(&self, class: Class) -> anyhow::Result<Vec<EntityRow>> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/admin/accounts/{class}/entities?limit=10000&after={after}");
            let page: EntityPage = self.get(&path).await?;
            rows.extend(page.entities);
            match page.next {
                Some(next) => after = next,
                None => return Ok(rows),
            }
        }
    }

    /// Every request that was let in.
    pub async fn requests(&self, class: Class) -> anyhow::Result<Vec<RequestRow>> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/admin/accounts/{class}/requests?limit=10000&after={after}");
            let page: RequestPage = self.get(&path).await?;
            anyhow::ensure!(page.missed == 0, "the oracle's log of requests is full");
            rows.extend(page.requests);
            match page.next {
                Some(next) => after = next,
                None => return Ok(rows),
            }
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let url = format!("http://{}{path}", self.address);
        let answer = self.http.get(url).send().await.context("the oracle does not answer")?;
        answer.error_for_status()?.json().await.context("the oracle's answer cannot be read")
    }
}
