//! The queue of one partition, read in batches.
//!
//! rdkafka hands out one message at a time, and each costs a lock, an allocation and several
//! readings of the clock. That was a fifth of a worker's time at full speed. librdkafka has a call
//! for many messages at once, which rdkafka does not expose; this file makes it.
//!
//! **Safety.** All pointers come from librdkafka. A queue and its messages belong to a client,
//! which [`PartitionQueue`] and [`MessageBatch`] keep alive for as long as they live; each is
//! returned once, before that. What is read out of a message borrows the message. librdkafka lets
//! every thread use a queue.
#![allow(
    unsafe_code,
    reason = "rdkafka has no safe function for a batch; what makes the calls sound stands above"
)]

use super::listener::Listener;
use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use std::ffi::{CStr, CString};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use tallow_model::{EventTime, Record};

/// Most messages that are taken at once.
const BATCH: usize = 256;

/// The messages of one partition.
pub(super) struct PartitionQueue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    consumer: Arc<BaseConsumer<Listener>>,
}

// SAFETY: librdkafka's functions for queues may be called by any thread.
unsafe impl Send for PartitionQueue {}

impl PartitionQueue {
    /// Splits the partition's queue off from the consumer's, which must still be polled for
    /// everything that is no message. `None` if the number can't be a partition.
    pub(super) fn split(
        consumer: &Arc<BaseConsumer<Listener>>,
        topic: &str,
        partition: u32,
    ) -> Option<PartitionQueue> {
        let topic = CString::new(topic).ok()?;
        let partition = i32::try_from(partition).ok()?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client exists as long as `consumer`; the name ends with a zero and is copied.
        let queue = unsafe { sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition) };
        let queue = NonNull::new(queue)?;
        // SAFETY: the queue exists until it is returned; a null destination ends the forwarding.
        unsafe { sys::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut()) };
        Some(PartitionQueue { queue, consumer: Arc::clone(consumer) })
    }

    /// Takes the available messages without waiting, at most `limit`. The batch is empty only if
    /// the queue was.
    pub(super) fn take(&self, limit: usize) -> MessageBatch {
        // Most calls find nothing, so memory is allocated afterwards.
        let mut messages = [ptr::null_mut(); BATCH];
        let room = limit.min(BATCH);
        // SAFETY: the queue exists, and `messages` has room for as many pointers.
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, messages.as_mut_ptr(), room) };
        // A negative number stands for a client that can't consume, which has no queue.
        let taken = usize::try_from(taken).unwrap_or(0);
        let messages =
            messages[..taken].iter().filter_map(|it| NonNull::new(*it)).map(QueuedMessage).collect();
        MessageBatch { messages, consumer: Arc::clone(&self.consumer) }
    }
}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // SAFETY: it is returned once, while the client exists.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// Messages that have been taken from a queue.
pub(super) struct MessageBatch {
    // Dropped before the client that they belong to.
    messages: Vec<QueuedMessage>,
    consumer: Arc<BaseConsumer<Listener>>,
}

impl MessageBatch {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Returns the records in offset order, and between them librdkafka's events about reading,
    /// which the consumer's listener receives too.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<Record<'_>, Code>> {
        self.messages.iter().map(|message| match message.code() {
            Code::NoError => Ok(message.record()),
            code => {
                self.consumer.context().error(KafkaError::Global(code), &message.reason());
                Err(code)
            }
        })
    }
}

/// A message of a queue, which exists as long as its batch.
struct QueuedMessage(NonNull<sys::rd_kafka_message_t>);

impl QueuedMessage {
    /// Returns the error code of a message that is no record. A broker may send a code that the
    /// bindings have no name for, so it is read as the integer that it is in C.
    fn code(&self) -> Code {
        // SAFETY: the message exists; the field is an enumeration, which is an `int` in C.
        let number = unsafe { (&raw const (*self.0.as_ptr()).err).cast::<i32>().read() };
        if number == 0 {
            return Code::NoError;
        }
        let (mut named, mut count) = (ptr::null(), 0);
        // SAFETY: librdkafka returns its list of codes, which is never freed.
        let named = unsafe {
            sys::rd_kafka_get_err_descs(&raw mut named, &raw mut count);
            slice::from_raw_parts(named, count)
        };
        let named = named.iter().map(|it| it.code).find(|code| *code as i32 == number);
        named.map_or(Code::Unknown, Code::from)
    }

    /// Returns the record as the graph takes it; its bytes stay in librdkafka's memory.
    fn record(&self) -> Record<'_> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let message = self.0.as_ptr();
        // SAFETY: the message exists; the three fields are numbers and a pointer.
        let (millis, offset, payload, len) = unsafe {
            let millis = sys::rd_kafka_message_timestamp(message, &raw mut kind);
            (millis, (*message).offset, (*message).payload.cast::<u8>().cast_const(), (*message).len)
        };
        // The oldest message format has no time, for which librdkafka has a 0.
        let is_timed = kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        Record {
            // A message has an offset; negative ones are librdkafka's names for positions.
            offset: u64::try_from(offset).unwrap_or(0),
            log_time: u64::try_from(millis).ok().filter(|_| is_timed).map(EventTime),
            // SAFETY: there are `len` bytes, which live as long as the message.
            payload: (!payload.is_null()).then(|| unsafe { slice::from_raw_parts(payload, len) }),
        }
    }

    /// Returns the error in librdkafka's words.
    fn reason(&self) -> String {
        // SAFETY: the message exists.
        let text = unsafe { sys::rd_kafka_message_errstr(self.0.as_ptr()) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: the text ends with a zero, and lives as long as the message.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}

impl Drop for QueuedMessage {
    fn drop(&mut self) {
        // SAFETY: it is returned once; its batch keeps the client alive, and everything that
        // borrows it is gone.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) };
    }
}
