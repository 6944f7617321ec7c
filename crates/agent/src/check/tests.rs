//! The checks on a real Go, whole and damaged.

use super::*;

const VERSION: &str = "1.27.3";

/// A device's root with room for the checks.
struct Bed {
    folder: tempfile::TempDir,
    places: Places,
}

impl Bed {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), places: Places::default() }
    }

    fn root(&self) -> Root {
        Root::new(self.folder.path().join("root"))
    }

    async fn check(&self, tree: &Path, version: &str) -> Result<Evidence, CheckError> {
        let checks = Checks {
            tree,
            version,
            root: &self.root(),
            places: &self.places,
            folder: &self.folder.path().join("check"),
            cache: &gofleet_testkit::cache::folder().join("go-build"),
        };
        checks.run().await
    }

    /// A tree whose `go` is this script.
    #[cfg(unix)]
    fn tree_with_go(&self, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let go = self.folder.path().join("tree/bin/go");
        fs::create_dir_all(go.parent().unwrap()).unwrap();
        fs::write(&go, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
        self.folder.path().join("tree")
    }
}

fn real_tree() -> PathBuf {
    gofleet_testkit::go::tree(VERSION, gofleet_testkit::go::HOST)
}

#[tokio::test]
async fn a_real_go_passes_and_the_program_is_another_each_time() {
    let (bed, tree) = (Bed::new(), real_tree());
    let first = bed.check(&tree, VERSION).await.unwrap();
    assert!(first.go_version.starts_with("go version go1.27.3 "), "{}", first.go_version);
    assert_eq!(canonical(Path::new(&first.goroot)).unwrap(), canonical(&tree).unwrap());
    assert_eq!((first.path_hit, first.path_is_managed), (None, false));
    assert!(first.program_output.ends_with(" go1.27.3"), "{}", first.program_output);
    let second = bed.check(&tree, VERSION).await.unwrap();
    assert_eq!(first.go_sha256, second.go_sha256);
    assert_ne!(first.program_output, second.program_output);
    assert!(!bed.folder.path().join("check").exists());
}

#[tokio::test]
async fn another_version_than_wanted_fails() {
    let error = Bed::new().check(&real_tree(), "1.27.2").await.unwrap_err();
    assert!(matches!(error, CheckError::WrongVersion { .. }), "{error}");
}

#[tokio::test]
async fn another_go_before_ours_on_the_path_fails_by_name() {
    let (mut bed, tree) = (Bed::new(), real_tree());
    let other = bed.folder.path().join("other");
    for folder in [&bed.root().bin(), &other] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(GO), b"").unwrap();
    }
    bed.places.path = vec![other.clone(), bed.root().bin()];
    let error = bed.check(&tree, VERSION).await.unwrap_err();
    assert!(
        matches!(&error, CheckError::Shadowed { hit, .. } if *hit == other.join(GO)),
        "{error}"
    );
}

#[tokio::test]
async fn a_tree_without_go_fails() {
    let bed = Bed::new();
    let error = bed.check(bed.folder.path(), VERSION).await.unwrap_err();
    assert!(matches!(error, CheckError::Unreadable { .. }), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_go_that_ends_badly_tells_what_it_said() {
    let bed = Bed::new();
    let tree = bed.tree_with_go("echo libc is missing >&2; exit 127");
    let error = bed.check(&tree, VERSION).await.unwrap_err();
    let text = crate::soak::with_causes(&error);
    assert!(text.contains("libc is missing"), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_go_that_only_pretends_to_compile_is_found_out() {
    let bed = Bed::new();
    let tree = bed.folder.path().join("tree");
    let script = format!(
        "case $1 in version) echo go version go{VERSION} linux/amd64;; env) echo {};; build) \
         printf '#!/bin/sh\\necho gofleet check 0 go{VERSION} >&2\\n' > $3; /bin/chmod +x $3;; esac",
        tree.display()
    );
    bed.tree_with_go(&script);
    let error = bed.check(&tree, VERSION).await.unwrap_err();
    assert!(matches!(error, CheckError::WrongOutput { .. }), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_go_that_stands_elsewhere_is_found_out() {
    let bed = Bed::new();
    let tree = bed.tree_with_go(&format!(
        "case $1 in version) echo go version go{VERSION} linux/amd64;; env) echo /usr;; esac"
    ));
    let error = bed.check(&tree, VERSION).await.unwrap_err();
    assert!(matches!(error, CheckError::WrongRoot { .. }), "{error}");
}
