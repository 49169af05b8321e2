//! Flags of the conformance kit.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub struct Conformance {
    /// The socket of the Workload API
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// The bundle endpoint of its trust domain, too; plain HTTP on loopback alone
    #[arg(long, value_name = "URL")]
    pub bundle: Option<String>,
    /// For whom JWT-SVIDs are asked
    #[arg(long, value_name = "NAME", default_value = "countersign-conformance")]
    pub audience: String,
    /// How long one answer may take
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub timeout: String,
    /// Look at what the standards call incubating, too
    #[arg(long)]
    pub incubating: bool,
    /// Only these lines: numbers and ranges, such as 16-29
    #[arg(long, value_name = "LINE", num_args = 1.., value_delimiter = ',')]
    pub include: Vec<String>,
    /// Not these lines
    #[arg(long, value_name = "LINE", num_args = 1.., value_delimiter = ',')]
    pub skip: Vec<String>,
}
