//! The queue of one partition, read in batches.
//!
//! rdkafka hands out one message at a time, and each costs a lock, an allocation and several readings of the clock. That
//! was a fifth of a worker's time when it reads as fast as it can. librdkafka has a call for many messages at once, for
//! which rdkafka has none; this file makes it.
//!
//! **Safety.** All pointers come from librdkafka. A queue and the messages out of it belong to a client, which [`Queue`]
//! and [`Batch`] keep alive for as long as they live; each is given back once, before that. What is read out of a message
//! borrows it. librdkafka lets every thread use a queue.
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

/// How many messages are taken at once, at most.
const BATCH: usize = 256;

/// The messages of one partition.
pub(super) struct Queue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    consumer: Arc<BaseConsumer<Listener>>,
}

// SAFETY: librdkafka's functions for queues may be called by any thread.
unsafe impl Send for Queue {}

impl Queue {
    /// Splits the partition's queue off from the consumer's, which must still be polled for all that is no message.
    /// There is none for what can't be a partition.
    pub(super) fn split(
        consumer: &Arc<BaseConsumer<Listener>>,
        topic: &str,
        partition: u32,
    ) -> Option<Queue> {
        let topic = CString::new(topic).ok()?;
        let partition = i32::try_from(partition).ok()?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client is there as long as `consumer`; the name ends with a zero and is copied.
        let queue = unsafe { sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition) };
        let queue = NonNull::new(queue)?;
        // SAFETY: the queue is there until it is given back; a null destination ends the forwarding.
        unsafe { sys::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut()) };
        Some(Queue { queue, consumer: Arc::clone(consumer) })
    }

    /// Takes what is there without waiting, at most `limit` messages. The batch is empty only where the queue was.
    pub(super) fn take(&self, limit: usize) -> Batch {
        // Most calls find nothing, so what is allocated is allocated afterwards.
        let mut messages = [ptr::null_mut(); BATCH];
        let room = limit.min(BATCH);
        // SAFETY: the queue is there, and `messages` has room for as many pointers.
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, messages.as_mut_ptr(), room) };
        // It is never negative: that stands for a client that can't consume, and such a one has no queue.
        let taken = usize::try_from(taken).unwrap_or(0);
        let messages = messages[..taken].iter().filter_map(|it| NonNull::new(*it)).map(Message).collect();
        Batch { messages, consumer: Arc::clone(&self.consumer) }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: it is given back once, while the client is there.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// Messages that have been taken from a queue.
pub(super) struct Batch {
    // Dropped before the client that they belong to.
    messages: Vec<Message>,
    consumer: Arc<BaseConsumer<Listener>>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The records in offset order, and between them what librdkafka has to say about reading on, which the consumer's
    /// listener hears too.
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

/// A message that came out of a queue, there as long as its batch.
struct Message(NonNull<sys::rd_kafka_message_t>);

impl Message {
    /// What is wrong, if it is no record. A broker may say what the bindings have no name for, so this is read as the
    /// number that it is in C.
    fn code(&self) -> Code {
        // SAFETY: the message is there; the field is an enumeration, which is an `int` in C.
        let number = unsafe { (&raw const (*self.0.as_ptr()).err).cast::<i32>().read() };
        if number == 0 {
            return Code::NoError;
        }
        let (mut named, mut count) = (ptr::null(), 0);
        // SAFETY: librdkafka gives its list of codes, which is never freed.
        let named = unsafe {
            sys::rd_kafka_get_err_descs(&raw mut named, &raw mut count);
            slice::from_raw_parts(named, count)
        };
        let named = named.iter().map(|it| it.code).find(|code| *code as i32 == number);
        named.map_or(Code::Unknown, Code::from)
    }

    /// The record as the graph takes it, its bytes where librdkafka has them.
    fn record(&self) -> Record<'_> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let message = self.0.as_ptr();
        // SAFETY: the message is there; the three fields are numbers and a pointer.
        let (millis, offset, payload, len) = unsafe {
            let millis = sys::rd_kafka_message_timestamp(message, &raw mut kind);
            (millis, (*message).offset, (*message).payload.cast::<u8>().cast_const(), (*message).len)
        };
        // The oldest format of messages has no time, for which librdkafka has a 0.
        let is_timed = kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        Record {
            // A message has an offset; negative ones are librdkafka's names for places.
            offset: u64::try_from(offset).unwrap_or(0),
            log_time: u64::try_from(millis).ok().filter(|_| is_timed).map(EventTime),
            // SAFETY: there are `len` bytes, which live as long as the message.
            payload: (!payload.is_null()).then(|| unsafe { slice::from_raw_parts(payload, len) }),
        }
    }

    /// What is wrong, in librdkafka's words.
    fn reason(&self) -> String {
        // SAFETY: the message is there.
        let text = unsafe { sys::rd_kafka_message_errstr(self.0.as_ptr()) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: the text ends with a zero, and lives as long as the message.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: it is given back once; its batch keeps the client alive, and what borrows it is gone.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) };
    }
}
