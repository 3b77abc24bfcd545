//! Apache Kafka as a process of this machine: one broker that is its own controller.
//!
//! Maven fetches the broker as `scripts/kafka/pom.xml` says, and `java` runs it from Maven's
//! repository. A second listener, on the port in `kafka-sasl.port`, asks for a login: SASL PLAIN,
//! user `tallow`, password `in-the-clear`.

use super::daemon;
use super::folder::{Folder, connect, listens, random_hex};
use super::service::{Service, say};
use crate::process;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The lines of Maven's output that are shown when it fails.
const SHOWN_LINES: usize = 20;

/// A Metadata request of version 1 that asks for no topic: length, API key 3, version 1,
/// correlation id 0, no client id, and an empty list of topics. The Kafka protocol is big-endian:
/// <https://kafka.apache.org/protocol>.
const METADATA_REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];

/// The broker's settings, whose path identifies its process.
pub(super) fn settings_path(folder: &Folder) -> PathBuf {
    folder.path().join("kafka.properties")
}

/// Whether the broker lists a broker, itself, that serves clients. It accepts connections earlier.
pub(super) fn answers(folder: &Folder) -> bool {
    let count_brokers = || {
        let mut stream = connect(folder.port("kafka")?).ok()?;
        stream.write_all(&METADATA_REQUEST).ok()?;
        // Length, correlation id, number of brokers.
        let mut reply = [0; 12];
        stream.read_exact(&mut reply).ok()?;
        Some(i32::from_be_bytes([reply[8], reply[9], reply[10], reply[11]]))
    };
    count_brokers().is_some_and(|count| count > 0)
}

pub(super) fn start(folder: &Folder, root: &Path) -> Result<()> {
    let classes = class_path(folder, root)?;
    let settings = settings_path(folder);
    fs::write(&settings, settings_text(folder)?).with_context(|| format!("write {}", settings.display()))?;
    if !folder.path().join("kafka/meta.properties").exists() {
        format_storage(folder, &classes, &settings)?;
    }
    let mut command = Command::new("java");
    command.args(["-Xmx768m", "-Xms256m", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]);
    command.args(logging()).args(["-cp", &classes, "kafka.Kafka"]).arg(settings);
    daemon::spawn(folder, Service::Kafka, &mut command)?;
    daemon::await_answer(folder, Service::Kafka, answers)
}

fn settings_text(folder: &Folder) -> Result<String> {
    let clear = folder.allot("kafka")?;
    let sasl = folder.allot("kafka-sasl")?;
    let controller = folder.allot("kafka-controller")?;
    let data = folder.path().join("kafka");
    Ok(format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{clear},SASL://127.0.0.1:{sasl},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{clear},SASL://127.0.0.1:{sasl}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \
required user_tallow=\"in-the-clear\";
log.dirs={}
auto.create.topics.enable=false
num.partitions=3
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
",
        data.display()
    ))
}

fn format_storage(folder: &Folder, classes: &str, settings: &Path) -> Result<()> {
    let log = folder.open_log("kafka")?;
    let errors = log.try_clone().context("duplicate the log")?;
    let mut command = tool("256m", classes, "kafka.tools.StorageTool");
    command.args(["format", "-t", &cluster_id()?, "-c"]).arg(settings);
    match process::run(command.stdin(Stdio::null()).stdout(log).stderr(errors)) {
        Ok(()) => Ok(()),
        Err(_) => Err(daemon::failure(folder, Service::Kafka, "its storage can't be made")),
    }
}

/// 22 characters of base64url, the form that Kafka gives to 128 bits. Hexadecimal digits are among
/// its characters.
fn cluster_id() -> Result<String> {
    // The last character holds two bits, and its other bits must be 0: `A`.
    Ok(format!("{}A", &random_hex()?[..21]))
}

/// The broker's class path. It is made again after a change of the project file.
fn class_path(folder: &Folder, root: &Path) -> Result<String> {
    let project = root.join("scripts/kafka/pom.xml");
    let list = folder.path().join("kafka.classpath");
    if let Some(classes) = known_class_path(&project, &list) {
        return Ok(classes);
    }
    say("fetching Apache Kafka");
    let log = folder.log("maven");
    let new = list.with_extension("classpath.new");
    let output = File::create(&log).with_context(|| format!("write {}", log.display()))?;
    let errors = output.try_clone().context("duplicate the log")?;
    let mut command = Command::new("mvn");
    command.args(["-q", "-B", "-f"]).arg(project).arg("dependency:build-classpath");
    command.arg(format!("-Dmdep.outputFile={}", new.display()));
    if process::run(command.stdin(Stdio::null()).stdout(output).stderr(errors)).is_err() {
        bail!(
            "Maven can't fetch Apache Kafka; the end of {}:{}",
            log.display(),
            process::tail(&log, SHOWN_LINES)
        );
    }
    fs::rename(&new, &list).with_context(|| format!("write {}", list.display()))?;
    fs::read_to_string(&list).with_context(|| format!("read {}", list.display()))
}

/// The class path of an earlier start, if it is newer than the project and its first file is still
/// there.
fn known_class_path(project: &Path, list: &Path) -> Option<String> {
    let modified = |path: &Path| fs::metadata(path).ok()?.modified().ok();
    let is_new = modified(list)? >= modified(project)?;
    let classes = fs::read_to_string(list).ok()?;
    let first = classes.split(':').next()?;
    (is_new && !first.is_empty() && Path::new(first).exists()).then_some(classes)
}

fn logging() -> [&'static str; 2] {
    ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]
}

/// One of Kafka's command-line tools, with its memory.
fn tool(memory: &str, classes: &str, class: &str) -> Command {
    let mut command = Command::new("java");
    command.arg(format!("-Xmx{memory}")).args(logging()).args(["-cp", classes, class]);
    command
}

pub(super) fn delete_topics(folder: &Folder, root: &Path, pattern: &str) -> Result<()> {
    let Some(port) = folder.port("kafka").filter(|port| listens(*port)) else {
        bail!("Kafka does not run; no topic can be deleted")
    };
    let address = format!("127.0.0.1:{port}");
    let mut command = tool("128m", &class_path(folder, root)?, "org.apache.kafka.tools.TopicCommand");
    process::run(command.args([
        "--bootstrap-server",
        &address,
        "--delete",
        "--if-exists",
        "--topic",
        pattern,
    ]))
}
