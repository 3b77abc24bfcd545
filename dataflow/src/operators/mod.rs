//! The timely operators, one a file.

pub(crate) mod combine;
pub(crate) mod live;
pub(crate) mod minutes;
pub(crate) mod peers;
pub(crate) mod restore;
pub(crate) mod source;
