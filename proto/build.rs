//! Compiles the `.proto` files in pure Rust (no `protoc`), and keeps the descriptor set for gRPC reflection and for REST.
use protox::Compiler;
use std::{env, error::Error, fs, path::PathBuf};

const PROTOS: [&str; 2] = ["quell/v1/quell.proto", "quell/v1/journal.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=quell");
    println!("cargo:rerun-if-changed=google");
    let mut compiler = Compiler::new(["."])?;
    compiler.include_source_info(true).include_imports(true).open_files(PROTOS)?;
    let path = PathBuf::from(env::var("OUT_DIR")?).join("quell_descriptor.bin");
    // The compiler's own encoding: prost's types would lose the options that are extensions, `google.api.http` among them.
    fs::write(path, compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();
    tonic_prost_build::configure()
        .btree_map(".quell.v1")
        .bytes(".quell.v1.Output")
        .bytes(".quell.v1.Outputs")
        .compile_fds(descriptors)?;
    Ok(())
}
