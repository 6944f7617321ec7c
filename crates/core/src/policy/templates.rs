//! The administrative templates: what editors of group policies show of the agent's settings.
//!
//! `gofleet.admx` says which values there are, one `gofleet.adml` for each language what they are
//! called (Microsoft, "Group Policy ADMX Syntax Reference Guide"). Both are made from the table of
//! settings.

use std::fmt::Write as _;

use super::KEY;
use crate::settings::{Kind, LONGEST_TEXT, MOST_ENTRIES, SETTINGS, Setting, Words};

const NAMESPACE: &str = "http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions";
const REVISION: &str = "1.0";

/// A language that the templates are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// American English.
    English,
    /// Chinese in simplified characters.
    Chinese,
}

impl Language {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// As folders of templates are named.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en-US",
            Self::Chinese => "zh-CN",
        }
    }

    const fn words(self, setting: &Setting) -> &Words {
        match self {
            Self::English => &setting.english,
            Self::Chinese => &setting.chinese,
        }
    }

    /// What stands below the meaning of each setting.
    const fn rule(self) -> &'static str {
        match self {
            Self::English => {
                "If you enable this policy, it stands above the flags, the environment and the \
                 file of the agent. If you disable or do not configure it, those count. A value \
                 that does not fit is told in the agent's log and by `gofleet agent status`, and \
                 the others count. The agent reads policies when it starts."
            }
            Self::Chinese => {
                "启用此策略后，其值优先于代理的命令行参数、环境变量和配置文件。\
                 禁用或未配置时，以后者为准。无效的值会记录在代理日志中，并由 gofleet agent status \
                 显示，此时同样以后者为准。代理在启动时读取策略。"
            }
        }
    }

    /// Texts that are not about one setting, by their identifier.
    const fn common(self) -> [(&'static str, &'static str); 4] {
        match self {
            Self::English => [
                ("GoFleet", "gofleet"),
                ("Agent", "Agent"),
                ("Agent_Help", "Settings of the agent, which upgrades Go on this machine."),
                ("Supported", "Windows 10, Windows Server 2016, or newer, with gofleet's agent"),
            ],
            Self::Chinese => [
                ("GoFleet", "gofleet"),
                ("Agent", "代理"),
                ("Agent_Help", "代理的设置；代理负责升级本机上的 Go。"),
                ("Supported", "Windows 10、Windows Server 2016 或更高版本，并已安装 gofleet 代理"),
            ],
        }
    }
}

/// `gofleet.admx`.
pub fn admx() -> String {
    let mut policies = String::new();
    for setting in &SETTINGS {
        let id = setting.policy;
        let _ = write!(
            policies,
            r#"    <policy name="{id}" class="Machine" displayName="$(string.{id})" explainText="$(string.{id}_Help)" key="{KEY}" presentation="$(presentation.{id})">
      <parentCategory ref="Agent" />
      <supportedOn ref="Supported" />
      <elements>
        {element}
      </elements>
    </policy>
"#,
            element = element(setting),
        );
    }
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<policyDefinitions xmlns="{NAMESPACE}" revision="{REVISION}" schemaVersion="1.0">
  <policyNamespaces>
    <target prefix="gofleet" namespace="GoFleet.Policies.Agent" />
  </policyNamespaces>
  <resources minRequiredRevision="{REVISION}" />
  <supportedOn>
    <definitions>
      <definition name="Supported" displayName="$(string.Supported)" />
    </definitions>
  </supportedOn>
  <categories>
    <category name="GoFleet" displayName="$(string.GoFleet)" />
    <category name="Agent" displayName="$(string.Agent)" explainText="$(string.Agent_Help)">
      <parentCategory ref="GoFleet" />
    </category>
  </categories>
  <policies>
{policies}  </policies>
</policyDefinitions>
"#
    )
}

/// What a policy writes, by the kind of its setting.
fn element(setting: &Setting) -> String {
    let id = setting.policy;
    let expandable = if setting.kind == Kind::Folder { r#" expandable="true""# } else { "" };
    match setting.kind {
        Kind::Labels => {
            format!(r#"<list id="{id}" key="{KEY}\{id}" explicitValue="true" />"#)
        }
        Kind::Urls | Kind::Files | Kind::Command => format!(
            r#"<multiText id="{id}" valueName="{id}" required="true" maxLength="{LONGEST_TEXT}" maxStrings="{MOST_ENTRIES}" />"#
        ),
        Kind::Url | Kind::Folder | Kind::Program | Kind::Hostname | Kind::Limit | Kind::Period => {
            format!(
                r#"<text id="{id}" valueName="{id}" required="true" maxLength="{LONGEST_TEXT}"{expandable} />"#
            )
        }
    }
}

/// `gofleet.adml` of a language.
pub fn adml(language: Language) -> String {
    let mut strings = String::new();
    let mut presentations = String::new();
    for (id, text) in language.common() {
        let _ = writeln!(strings, r#"      <string id="{id}">{}</string>"#, escape(text));
    }
    for setting in &SETTINGS {
        let (id, words) = (setting.policy, language.words(setting));
        let title = escape(words.title);
        let explained =
            escape(&format!("{}\n\n{}", sentence(words.meaning, language), language.rule()));
        let _ = writeln!(strings, r#"      <string id="{id}">{title}</string>"#);
        let _ = writeln!(strings, r#"      <string id="{id}_Help">{explained}</string>"#);
        let control = match setting.kind {
            Kind::Labels => format!(r#"<listBox refId="{id}">{title}</listBox>"#),
            Kind::Urls | Kind::Files | Kind::Command => {
                format!(r#"<multiTextBox refId="{id}">{title}</multiTextBox>"#)
            }
            Kind::Url
            | Kind::Folder
            | Kind::Program
            | Kind::Hostname
            | Kind::Limit
            | Kind::Period => {
                format!(r#"<textBox refId="{id}"><label>{title}</label></textBox>"#)
            }
        };
        let _ = writeln!(
            presentations,
            "      <presentation id=\"{id}\">\n        {control}\n      </presentation>"
        );
    }
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<policyDefinitionResources xmlns="{NAMESPACE}" revision="{REVISION}" schemaVersion="1.0">
  <displayName>gofleet</displayName>
  <description>gofleet</description>
  <resources>
    <stringTable>
{strings}    </stringTable>
    <presentationTable>
{presentations}    </presentationTable>
  </resources>
</policyDefinitionResources>
"#
    )
}

fn sentence(meaning: &str, language: Language) -> String {
    match language {
        Language::English => {
            let (first, rest) = meaning.split_at(1);
            format!("{}{rest}.", first.to_uppercase())
        }
        Language::Chinese => format!("{meaning}。"),
    }
}

/// As XML has text.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
