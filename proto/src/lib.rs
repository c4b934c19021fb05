//! The messages of Quell: the API's (package `quell.v1`) and the journal's. Generated from `proto/quell/v1`.

/// Package `quell.v1`.
#[allow(clippy::all, unused_qualifications)]
pub mod v1 {
    tonic::include_proto!("quell.v1");
}

/// The encoded `FileDescriptorSet` of package `quell.v1`, with its comments and its `google.api.http` options: for
/// reflection, for protobuf's JSON form and for REST.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("quell_descriptor");
