//! The sandbox ERP, a process of its own. It is never killed: it is the oracle.

use std::{collections::BTreeMap, path::Path};

use sandbox::{AccountSummary, Change, Collection, EffectPage, EffectRow, Requests, Summary, Totals};
use testkit::Process;

use super::{
    counterfoil,
    services::{Admin, address},
};

pub struct Erp {
    pub url: String,
    _process: Process,
    http: reqwest::Client,
}

impl Erp {
    pub async fn start(dir: &Path, http: reqwest::Client) -> Self {
        let (listen, admin) = (address(), address());
        let command = counterfoil(&["serve", "sandbox", "--listen", &listen, "--admin-listen", &admin]);
        let process = Process::spawn("sandbox", command, &dir.join("sandbox.log")).unwrap();
        Admin::new(admin, http.clone()).ready(&process).await;
        Self { url: format!("http://{listen}"), _process: process, http }
    }

    /// How a tenant's account behaves from now on.
    pub async fn change(&self, tenant: &str, change: Change) {
        let url = format!("{}/admin/accounts/{tenant}", self.url);
        self.http.put(url).json(&change).send().await.unwrap().error_for_status().unwrap();
    }

    pub async fn accounts(&self) -> BTreeMap<String, AccountSummary> {
        self.get::<Summary>("/admin/summary").await.accounts
    }

    pub async fn account(&self, tenant: &str) -> AccountSummary {
        self.accounts().await.remove(tenant).unwrap()
    }

    pub async fn totals(&self, tenant: &str) -> Totals {
        self.account(tenant).await.totals
    }

    pub async fn requests(&self, tenant: &str) -> Requests {
        self.get(&format!("/admin/accounts/{tenant}/requests/count")).await
    }

    /// Documents of a tenant in a collection.
    pub async fn documents(&self, tenant: &str, collection: Collection) -> u64 {
        self.account(tenant).await.collections.get(&collection).copied().unwrap_or(0)
    }

    /// Every effect that the tenant's events had.
    pub async fn effects(&self, tenant: &str) -> Vec<EffectRow> {
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/admin/accounts/{tenant}/effects?limit=10000&after={after}");
            let page: EffectPage = self.get(&path).await;
            rows.extend(page.effects);
            match page.next {
                Some(next) => after = next,
                None => return rows,
            }
        }
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }
}
