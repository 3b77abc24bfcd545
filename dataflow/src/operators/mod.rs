//! The timely operators, one a file.

pub(crate) mod combine;
pub(crate) mod difference;
pub(crate) mod idle_reports;
pub(crate) mod live;
pub(crate) mod minutes;
pub(crate) mod restore;
pub(crate) mod source;
