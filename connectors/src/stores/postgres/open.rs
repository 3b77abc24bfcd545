//! Opening a connection for use: connect, and check that the schema is this program's.

use super::connection::{OPEN_TIMEOUT, OpenConnection, Target};
use super::errors::postgres;
use super::schema;
use tallow_model::error::Error;

impl Target {
    /// Connects, and checks that the schema is this program's.
    pub(super) async fn open(&self) -> Result<OpenConnection, Error> {
        let opening = async {
            let connection = self.connect().await?;
            let version = schema::version(&connection.client).await.map_err(postgres("read", &self.on))?;
            schema::check(version, &self.on)?;
            Ok(connection)
        };
        let late = |_| Error::Timeout { tried: "connect to", on: self.on.clone(), limit: OPEN_TIMEOUT };
        tokio::time::timeout(OPEN_TIMEOUT, opening).await.map_err(late)?
    }
}
