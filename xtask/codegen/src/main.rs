//! `cargo run --manifest-path xtask/codegen/Cargo.toml`: writes the Rust of `api/proto` into `wire`. Pure Rust, so that
//! nobody needs a `protoc`.

use std::error::Error;
use std::fs;
use std::path::Path;

use xtask::generated::{DESCRIBED, FILES, GENERATED, PROTO, heading};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let made = std::env::temp_dir().join(format!("countersign-codegen-{}", std::process::id()));
    fs::create_dir_all(&made)?;
    for (definition, package, file) in FILES {
        let descriptors = protox::compile([root.join(PROTO).join(definition)], [root.join(PROTO)])?;
        tonic_prost_build::configure()
            .out_dir(&made)
            .build_transport(false)
            .emit_rerun_if_changed(false)
            .bytes(".")
            .compile_fds(descriptors)?;
        let code = fs::read_to_string(made.join(format!("{package}.rs")))?;
        let proto = fs::read(root.join(PROTO).join(definition))?;
        let file = root.join(GENERATED).join(file);
        fs::create_dir_all(file.parent().ok_or("a file has a folder")?)?;
        fs::write(file, format!("{}{code}", heading(definition, &proto)))?;
    }
    for (definitions, file) in DESCRIBED {
        let mut described = protox::Compiler::new([root.join(PROTO)])?;
        described.include_imports(true).open_files(*definitions)?;
        fs::write(root.join(GENERATED).join(file), described.encode_file_descriptor_set())?;
    }
    fs::remove_dir_all(&made)?;
    Ok(())
}
