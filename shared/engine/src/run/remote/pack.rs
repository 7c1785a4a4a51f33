//! The files of a job by content, and the greatest length of its record.

use std::io::{self, Read};
use std::path::Path;

use crate::record::failure::{Class, Failure};
use crate::record::file::{FileUse, JobFile};
use crate::record::job::Job;
use crate::record::worker::LONGEST_RECORD;
use codex_agent_shared::error::reason;

/// Reads the files of a job for its record.
pub(super) fn pack_files(job: &Job) -> std::result::Result<Vec<JobFile>, Failure> {
    let images = job.images.iter().map(|path| (FileUse::Image, path));
    let schema = job.options.output_schema.iter().map(|path| (FileUse::Schema, path));
    let mut total = job.prompt.len();
    let mut files = Vec::new();
    for (purpose, path) in images.chain(schema) {
        let own = Path::new(path);
        let refused = |why: String| {
            Failure::new(Class::Refused, format!("cannot read the file '{path}' of the job: {why}"))
        };
        let unreadable = |error: io::Error| refused(reason(&error));
        let meta = own.metadata().map_err(unreadable)?;
        if !meta.is_file() {
            return Err(refused("it is not a regular file".to_owned()));
        }
        // Base64 has four digits for three bytes.
        total += usize::try_from(meta.len()).unwrap_or(usize::MAX / 8) / 3 * 4;
        if total > LONGEST_RECORD {
            return Err(too_long("the files of the job are"));
        }
        let mut contents = Vec::new();
        let opened = std::fs::File::open(own).map_err(unreadable)?;
        opened.take(LONGEST_RECORD as u64).read_to_end(&mut contents).map_err(unreadable)?;
        let name = own.file_name().unwrap_or_default().to_string_lossy();
        files.push(JobFile::new(purpose, &name, &contents));
    }
    Ok(files)
}

/// Refuses a record that is too long. A control character of a prompt has six characters in a record.
pub(super) fn check_length(job: &Job) -> std::result::Result<(), Failure> {
    let short: usize = job.files.iter().map(|file| file.base64.len()).sum::<usize>() + job.prompt.len();
    let is_long = short > LONGEST_RECORD / 8;
    match is_long && serde_json::to_vec(job).map_or(0, |record| record.len()) > LONGEST_RECORD {
        true => Err(too_long("the record of the job is")),
        false => Ok(()),
    }
}

fn too_long(what: &str) -> Failure {
    let most = LONGEST_RECORD >> 20;
    Failure::new(Class::Refused, format!("{what} too long for a host: at most {most} MiB"))
}
