//! The few calls to librdkafka that `rdkafka` does not wrap, or wraps so that foreign input makes it panic.
#![expect(unsafe_code, reason = "librdkafka is a C library, and these calls have no safe wrapper")]
use rdkafka::{Offset, TopicPartitionList, bindings as sys, client::Client, client::ClientContext};

use std::{
    ffi::{CStr, CString, c_int},
    ptr, slice,
    time::Duration,
};

/// Where the application stands in a partition: after the last record delivered, and after control records behind it.
/// `None` where nothing was delivered since it was assigned.
pub(crate) fn position<C: ClientContext>(client: &Client<C>, topic: &str, partition: i32) -> Option<i64> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(topic, partition);
    // SAFETY: both pointers are valid for the call; the list is only written to during it.
    unsafe { sys::rd_kafka_position(client.native_ptr(), list.ptr()) };
    list.elements().first().and_then(|element| match element.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    })
}

/// The metadata beside the only element of a list. `TopicPartitionListElem::metadata` panics unless it is UTF-8.
pub(crate) fn metadata(list: &TopicPartitionList) -> String {
    if list.count() != 1 {
        return String::new();
    }
    // SAFETY: the list has an element, and its metadata, unless null, points to `metadata_size` bytes that live as long
    // as the list.
    unsafe {
        let element = &*(*list.ptr()).elems;
        if element.metadata.is_null() || element.metadata_size == 0 {
            return String::new();
        }
        let bytes = slice::from_raw_parts(element.metadata.cast::<u8>(), element.metadata_size);
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// The id of a topic, asked of the cluster; blocks for at most about `timeout`. `None` where the cluster gives no ids.
///
/// # Errors
/// In words, when there is no answer or no such topic.
pub(crate) fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> Result<Option<String>, String> {
    let name = CString::new(topic).map_err(|_| "a topic's name has no NUL".to_owned())?;
    let timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let rk = client.native_ptr();
    // SAFETY: `rk` lives as long as `client`. What is created here is destroyed here, by a guard, once each and in the
    // order that librdkafka asks for; what is read out of the event is copied before the event is destroyed.
    unsafe {
        let mut names = [name.as_ptr()];
        let topics = Guard(sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1), |topics| {
            sys::rd_kafka_TopicCollection_destroy(topics)
        });
        let options = Guard(
            sys::rd_kafka_AdminOptions_new(rk, sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS),
            |options| sys::rd_kafka_AdminOptions_destroy(options),
        );
        sys::rd_kafka_AdminOptions_set_request_timeout(options.0, timeout, ptr::null_mut(), 0);
        let queue = Guard(sys::rd_kafka_queue_new(rk), |queue| sys::rd_kafka_queue_destroy(queue));
        sys::rd_kafka_DescribeTopics(rk, topics.0, options.0, queue.0);
        let event = Guard(sys::rd_kafka_queue_poll(queue.0, timeout.saturating_add(1_000)), |event| {
            sys::rd_kafka_event_destroy(event)
        });
        if event.0.is_null() {
            return Err("no answer about the topic's id".to_owned());
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event.0);
        if sys::rd_kafka_event_error(event.0) as c_int != 0 || result.is_null() {
            return Err(text(sys::rd_kafka_event_error_string(event.0)));
        }
        let mut count = 0;
        let descriptions = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if count == 0 || descriptions.is_null() {
            return Err("no answer about the topic's id".to_owned());
        }
        let description = *descriptions;
        let error = sys::rd_kafka_TopicDescription_error(description);
        if !error.is_null() && sys::rd_kafka_error_code(error) as c_int != 0 {
            return Err(text(sys::rd_kafka_error_string(error)));
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(description);
        if id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id) == 0 && sys::rd_kafka_Uuid_least_significant_bits(id) == 0)
        {
            return Ok(None);
        }
        Ok(Some(text(sys::rd_kafka_Uuid_base64str(id))))
    }
}

/// Calls its second field with its first when dropped, unless that is null.
struct Guard<T>(*mut T, fn(*mut T));

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            (self.1)(self.0);
        }
    }
}

/// # Safety
/// `text` is null or a C string.
unsafe fn text(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
