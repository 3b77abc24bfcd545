//! A database of a test's own on the real PostgreSQL server.

use postgres::{Client, NoTls};

/// An empty database that is dropped together with its value. Creating and dropping it block.
pub struct Database {
    /// The URL of an existing database of the server.
    server: String,
    name: String,
}

impl Database {
    /// Creates a database, or returns `None` after saying that the test is skipped.
    pub fn create() -> Option<Database> {
        crate::services::postgres().map(|server| Database::create_on(&server))
    }

    /// Creates a database on a server, given the URL of a database that exists there.
    pub fn create_on(server: &str) -> Database {
        let name = crate::services::unique("database");
        execute(server, &format!("CREATE DATABASE {name}")).expect("the database is created");
        Database { server: server.to_owned(), name }
    }

    /// The URL of the database.
    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("a URL with the name of a database");
        format!("{server}/{}", self.name)
    }

    /// The name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a connection to the database.
    pub fn connect(&self) -> Client {
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
