// SPDX-License-Identifier: Apache-2.0
//! The safetensors crate as a reader and writer for tests/interop.
//!
//! `peer list FILE` prints `meta KEY VALUE`, then `tensor NAME DTYPE SHAPE BEGIN END CHECKSUM` in the order of the data; texts
//! are hexadecimal, the shape is joined by `x`, the checksum is FNV-1a of 64 bits.
//! `peer copy FROM TO` reads a file and serializes what it holds to another.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use safetensors::{serialize_to_file, SafeTensors};

type Metadata = HashMap<String, String>;

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn fnv1a(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn metadata_of(file: &[u8]) -> Result<Option<Metadata>, Box<dyn Error>> {
    let (_, header) = SafeTensors::read_metadata(file)?;
    Ok(header.metadata().clone())
}

fn list(path: &str) -> Result<(), Box<dyn Error>> {
    let file = fs::read(path)?;
    let tensors = SafeTensors::deserialize(&file)?;
    let (_, header) = SafeTensors::read_metadata(&file)?;
    for (key, value) in header.metadata().iter().flatten() {
        println!("meta {} {}", hex(key), hex(value));
    }
    for name in header.offset_keys() {
        let (begin, end) = header
            .info(&name)
            .ok_or("a name without a tensor")?
            .data_offsets;
        let view = tensors.tensor(&name)?;
        let shape: Vec<String> = view.shape().iter().map(usize::to_string).collect();
        let shape = shape.join("x");
        let checksum = fnv1a(view.data());
        println!(
            "tensor {} {:?} {shape} {begin} {end} {checksum:016x}",
            hex(&name),
            view.dtype()
        );
    }
    Ok(())
}

fn copy(from: &str, to: &str) -> Result<(), Box<dyn Error>> {
    let file = fs::read(from)?;
    let tensors = SafeTensors::deserialize(&file)?;
    serialize_to_file(tensors.tensors(), metadata_of(&file)?, Path::new(to))?;
    Ok(())
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["list", file] => list(file),
        ["copy", from, to] => copy(from, to),
        _ => Err("usage: peer list FILE | peer copy FROM TO".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
