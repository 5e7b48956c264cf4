use super::{list, show, tell, value};
use crate::cli::guest::DiskArgs;
use crate::cli::{Context, Outcome};
use h2k_systemd::ctl::{XkbList, keymaps, locale, locales, xkb};

/// Show language and keyboard, and what the guest has of them, as localectl would
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// Show language and keyboard
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd locale status server.vmdk")]
    Status(DiskArgs),
    /// Show the same as NAME=value
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd locale show server.vmdk")]
    Show(DiskArgs),
    /// List the locales in the archive and in directories of their own, in all codings
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd locale list-locales server.vmdk")]
    ListLocales(DiskArgs),
    /// List the console's keymaps
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd locale list-keymaps server.vmdk")]
    ListKeymaps(DiskArgs),
    /// List models of keyboards
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd locale list-x11-keymap-models server.vmdk")]
    ListX11KeymapModels(DiskArgs),
    /// List layouts of keyboards
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd locale list-x11-keymap-layouts server.vmdk")]
    ListX11KeymapLayouts(DiskArgs),
    /// List variants of layouts
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd locale list-x11-keymap-variants server.vmdk")]
    ListX11KeymapVariants(DiskArgs),
    /// List options of layouts
    #[command(after_long_help = "Examples:\n  hyper2kvm systemd locale list-x11-keymap-options server.vmdk")]
    ListX11KeymapOptions(DiskArgs),
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Outcome {
        let names = |disks: DiskArgs, which| {
            disks.look(context, |look| list(context, "names", &xkb(look, which, None)))
        };
        match self {
            Self::Status(disks) => status(&disks, context, true),
            Self::Show(disks) => status(&disks, context, false),
            Self::ListLocales(disks) => disks.look(context, |look| {
                let all = locales(look).locales;
                let all: Vec<String> = all.into_iter().map(|fact| fact.value).collect();
                list(context, "locales", &all)
            }),
            Self::ListKeymaps(disks) => disks.look(context, |look| list(context, "names", &keymaps(look))),
            Self::ListX11KeymapModels(disks) => names(disks, XkbList::Models),
            Self::ListX11KeymapLayouts(disks) => names(disks, XkbList::Layouts),
            Self::ListX11KeymapVariants(disks) => names(disks, XkbList::Variants),
            Self::ListX11KeymapOptions(disks) => names(disks, XkbList::Options),
        }
    }
}

fn status(disks: &DiskArgs, context: &Context, status: bool) -> Outcome {
    disks.look(context, |look| {
        let found = locale(look);
        let set: Vec<String> = found
            .variables
            .iter()
            .map(|v| format!("{}={}", v.name, v.value))
            .collect();
        let keyboard = &found.keyboard;
        let lines = [
            (
                "System Locale",
                "Locale",
                (!set.is_empty()).then(|| set.join(" ")),
            ),
            ("VC Keymap", "VConsoleKeymap", value(keyboard.vc_keymap.as_ref())),
            (
                "VC Toggle Keymap",
                "VConsoleKeymapToggle",
                value(keyboard.vc_keymap_toggle.as_ref()),
            ),
            ("X11 Layout", "X11Layout", value(keyboard.x11_layout.as_ref())),
            ("X11 Model", "X11Model", value(keyboard.x11_model.as_ref())),
            ("X11 Variant", "X11Variant", value(keyboard.x11_variant.as_ref())),
            ("X11 Options", "X11Options", value(keyboard.x11_options.as_ref())),
        ]
        .map(|(label, property, value)| (if status { label } else { property }, value));
        match status {
            true => tell(context, &found, &lines),
            false => show(context, &found, &lines),
        }
    })
}
