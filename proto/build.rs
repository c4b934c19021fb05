//! Compiles the `.proto` files in pure Rust (no `protoc`), and keeps the descriptor set for gRPC reflection.
use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

const PROTOS: [&str; 2] = ["quell/v1/quell.proto", "quell/v1/journal.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=quell");
    println!("cargo:rerun-if-changed=google");
    let descriptors = protox::compile(PROTOS, ["."])?;
    let path = PathBuf::from(env::var("OUT_DIR")?).join("quell_descriptor.bin");
    fs::write(path, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .btree_map(".quell.v1")
        .bytes(".quell.v1.Output")
        .bytes(".quell.v1.Outputs")
        .compile_fds(descriptors)?;
    Ok(())
}
