//! Other people's catalogs, harmed: no name in them leads anywhere but to a file beside the others.

#[path = "../../../../fuzz/harness.rs"]
mod harness;

use gofleet_feeds::listing::{Listing, Query, file_url};

/// Seconds for it.
const SECONDS: u64 = 2;

#[test]
#[ignore = "seconds each: cargo xtask test --suite fuzz"]
fn harmed_listings_lead_nowhere_else() {
    let sample = include_bytes!("../../src/listing/sample.json").to_vec();
    let text = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let everything = Query::default();
    let some = Query {
        versions: text(&["latest", "1.27", "go1.26.6"]),
        os: text(&["windows"]),
        arch: text(&["amd64"]),
        ..Query::default()
    };
    harness::harmed("listings", SECONDS, &[sample], |bytes| {
        let Ok(listing) = Listing::parse(bytes) else { return false };
        let all = listing.select(&everything);
        assert!(listing.select(&some).iter().all(|file| all.contains(file)));
        for file in all {
            let url = file_url("https://go.dev/dl", file);
            let name = url.strip_prefix("https://go.dev/dl/").unwrap();
            assert!(!name.is_empty() && name == file.filename, "{url}");
            assert!(!name.contains(['/', '\\', '?', '#', '%', ':', '\0']), "{url}");
            assert!(name != "." && name != "..", "{url}");
        }
        true
    });
}
