//! Ansible, as its documentation does such a job: a playbook with its own modules, ten hosts that
//! are this machine, ten forks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use super::super::cost::succeed;
use super::super::programs::python_package;
use super::{Contender, DEVICES, Go, Setting};

const PLAYBOOK: &str = r#"
- hosts: all
  gather_facts: false
  vars:
    archive: "{{ root }}/go{{ version }}.tar.gz"
    tree: "{{ root }}/{{ version }}"
  tasks:
    - ansible.builtin.get_url:
        { url: "{{ url }}", dest: "{{ archive }}", checksum: "sha256:{{ sha256 }}" }
    - ansible.builtin.file: { path: "{{ tree }}", state: directory }
    - ansible.builtin.unarchive:
        { src: "{{ archive }}", dest: "{{ tree }}", remote_src: true, creates: "{{ tree }}/go" }
    - ansible.builtin.file: { src: "{{ tree }}/go", dest: "{{ root }}/current", state: link }
    - ansible.builtin.command: "{{ root }}/current/bin/go version"
      environment: { GOTOOLCHAIN: local }
      changed_when: false
"#;

struct Ansible {
    folder: PathBuf,
    program: PathBuf,
    mirror: String,
}

pub fn start(folder: &Path, setting: &Setting) -> Result<Box<dyn Contender>> {
    let program = python_package("ansible-core")?.join("bin/ansible-playbook");
    let mut inventory = String::from("[all]\n");
    for root in 0..DEVICES {
        let path = folder.join(root.to_string());
        fs::create_dir(&path)?;
        inventory += &format!(
            "device{root} ansible_connection=local root={} \
             ansible_python_interpreter={}\n",
            path.display(),
            program.with_file_name("python").display()
        );
    }
    fs::write(folder.join("inventory"), inventory)?;
    fs::write(folder.join("go.yaml"), PLAYBOOK)?;
    Ok(Box::new(Ansible { folder: folder.to_owned(), program, mirror: setting.mirror.clone() }))
}

impl Contender for Ansible {
    fn bring(&mut self, go: &Go) -> Result<()> {
        let url = go.url(&self.mirror);
        let values = [("version", go.version), ("url", &url), ("sha256", &go.sha256)];
        let mut playbook = Command::new(&self.program);
        playbook.args(["--inventory", "inventory", "--forks", &DEVICES.to_string(), "go.yaml"]);
        for (name, value) in values {
            playbook.arg("--extra-vars").arg(format!("{name}={value}"));
        }
        succeed(
            playbook
                .current_dir(&self.folder)
                .env("ANSIBLE_LOCALHOST_WARNING", "false")
                .env("ANSIBLE_HOME", self.folder.join("ansible"))
                .stdin(Stdio::null())
                .stdout(Stdio::null()),
        )
    }

    fn program(&self, root: usize) -> PathBuf {
        self.folder.join(root.to_string()).join("current/bin/go")
    }
}
