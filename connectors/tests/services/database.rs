//! A database of a test's own on the real server.

use postgres::{Client, NoTls};

/// An empty database that is dropped with its value. Its making and dropping block.
pub(crate) struct Database {
    /// Where the server is, and a database of it that is there.
    server: String,
    name: String,
}

impl Database {
    /// Makes one; none, which is said, where there is no server.
    pub(crate) fn create() -> Option<Database> {
        super::postgres().map(|server| Database::create_on(&server))
    }

    /// Makes one on this server.
    pub(crate) fn create_on(server: &str) -> Database {
        let name = super::unique("database");
        execute(server, &format!("CREATE DATABASE {name}")).expect("the database is made");
        Database { server: server.to_owned(), name }
    }

    /// The URL that leads to it.
    pub(crate) fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("a URL with the name of a database");
        format!("{server}/{}", self.name)
    }

    /// What the server calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.url(), NoTls).expect("a connection")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let drop = || execute(&self.server, &statement);
        let dropped = match tokio::runtime::Handle::try_current() {
            Ok(_) => tokio::task::block_in_place(drop),
            Err(_) => drop(),
        };
        if !std::thread::panicking() {
            dropped.expect("the database is dropped");
        }
    }
}

fn execute(server: &str, statement: &str) -> Result<(), postgres::Error> {
    Client::connect(server, NoTls)?.batch_execute(statement)
}
