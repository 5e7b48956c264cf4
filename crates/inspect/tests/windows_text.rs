//! Hives of Windows guests as registry text, keys below `[X]` for the root: what several tests are made of.

/// The adapter that is there.
pub const NIC: &str = "{11111111-2222-3333-4444-555555555555}";
/// An adapter that is gone.
pub const GHOST: &str = "{99999999-2222-3333-4444-555555555555}";

/// A list of texts as regedit writes it.
pub fn many(texts: &[&str]) -> String {
    let text: String = texts.iter().map(|t| format!("{t}\0")).collect::<String>() + "\0";
    let bytes: Vec<String> = text
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .map(|b| format!("{b:02x}"))
        .collect();
    format!("hex(7):{}", bytes.join(","))
}

/// Settings of a machine, in its SYSTEM hive.
pub fn system() -> String {
    let control = "X\\ControlSet001\\Control";
    let services = "X\\ControlSet001\\Services";
    let class = "{4d36e972-e325-11ce-bfc1-08002be10318}";
    let pci = "PCI\\\\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01\\\\FF565000AC4E9EFE00";
    let renames: Vec<String> = "\\??\\C:\\a\0\0"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .map(|b| format!("{b:02x}"))
        .collect();
    format!(
        r#"[X\Select]
"Current"=dword:00000001
[{services}\Tcpip\Parameters]
"SearchList"="a.example,b.example"
[{services}\Tcpip\Parameters\Interfaces\{NIC}]
"EnableDHCP"=dword:00000000
"IPAddress"={ips}
"SubnetMask"={masks}
"DefaultGateway"={gateway}
"DefaultGatewayMetric"={metric}
"NameServer"="192.0.2.53,192.0.2.54"
"Domain"="example.com"
"MTU"=dword:000005a0
"DhcpIPAddress"="192.0.2.99"
"DhcpSubnetMask"="255.255.255.0"
"DhcpServer"="192.0.2.1"
[{services}\Tcpip\Parameters\Interfaces\{GHOST}]
"EnableDHCP"=dword:00000001
[{services}\Tcpip\Parameters\PersistentRoutes]
"198.51.100.0,255.255.255.0,192.0.2.7,5"=""
[{services}\Tcpip6\Parameters]
"DisabledComponents"=dword:000000ff
[{services}\NetBT\Parameters\Interfaces\Tcpip_{NIC}]
"NameServerList"={wins}
"NetbiosOptions"=dword:00000002
[{control}\Network\{class}\{NIC}\Connection]
"Name"="Ethernet0"
"PnpInstanceID"="{pci}"
[{control}\Class\{class}\0001]
"NetCfgInstanceId"="{NIC}"
"DriverDesc"="vmxnet3 Ethernet Adapter"
"*IfType"=dword:00000006
"NetLuidIndex"=dword:00008001
"NetworkAddress"="005056AABBCC"
[{control}\Nsi\{{eb004a01-9b1a-11d4-9123-0050047759bc}}\10]
"000000018000060020010db8000000000000000000000010"={v6}
"000000090000060020010db8000000000000000000000099"={v6}
"0000000180000600"=hex:00
[X\ControlSet001\Enum\{pci_key}]
"Service"="vmxnet3ndis6"
[{services}\SharedAccess\Parameters\FirewallPolicy\PublicProfile]
"EnableFirewall"=dword:00000001
[{services}\SharedAccess\Parameters\FirewallPolicy\DomainProfile]
"EnableFirewall"=dword:00000000
"DefaultInboundAction"=dword:00000000
[{services}\SharedAccess\Parameters\FirewallPolicy\FirewallRules]
"RDP"="v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Domain|Profile=Private|LPort=3389|App=%SystemRoot%\\system32\\svchost.exe|Svc=termservice|Name=Remote Desktop|"
"Old"="v2.10|Action=Block|Active=FALSE|Dir=Out|Protocol=17|RPort=137|Name=NetBIOS|"
[{services}\MpsSvc]
"Start"=dword:00000002
[{services}\VMTools]
"Type"=dword:00000010
"Start"=dword:00000002
[{services}\pvscsi]
"Type"=dword:00000001
"Start"=dword:00000000
[{services}\partmgr\Parameters]
"SanPolicy"=dword:00000001
[{control}\Session Manager]
"PendingFileRenameOperations"=hex(7):{renames}
[{control}\Session Manager\Power]
"HiberbootEnabled"=dword:00000001
[{control}\Session Manager\Memory Management]
"PagingFiles"={page}
[{control}\Session Manager\Environment]
"Path"="%SystemRoot%\\system32"
[{control}\TimeZoneInformation]
"TimeZoneKeyName"="W. Europe Standard Time"
"Bias"=dword:ffffffc4
"RealTimeIsUniversal"=hex(b):01,00,00,00,00,00,00,00
[{control}\Nls\Language]
"InstallLanguage"="0407"
[{control}\Terminal Server]
"fDenyTSConnections"=dword:00000000
"#,
        v6 = binary(
            3,
            &[&[0xff; 8][..], &[1, 0, 0, 0, 1, 0, 0, 0, 64], &[0; 31]].concat()
        ),
        ips = many(&["192.0.2.10", "192.0.2.11"]),
        masks = many(&["255.255.255.0", "255.255.255.128"]),
        gateway = many(&["192.0.2.1"]),
        metric = many(&["10"]),
        wins = many(&["192.0.2.80", "192.0.2.81"]),
        page = many(&["?:\\pagefile.sys"]),
        renames = renames.join(","),
        pci_key = pci.replace("\\\\", "\\"),
    )
}

/// Settings in the SOFTWARE hive.
pub const SETTINGS: &str = r#"[X\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending]
[X\Microsoft\Windows\CurrentVersion\Uninstall\{A}]
"DisplayName"="VMware Tools"
"DisplayVersion"="12.3.5"
[X\Policies\Microsoft\Windows\DeviceInstall\Restrictions]
"DenyUnspecified"=dword:00000001
[X\Microsoft\Windows\CurrentVersion\Group Policy\History\{35378EAC-683F-11D2-A89A-00C04FBBCFA2}\0]
"DisplayName"="Default Domain Policy"
[X\Microsoft\Windows\CurrentVersion\Policies\System]
"EnableLUA"=dword:00000001
"#;

/// Applications, updates and profiles in the SOFTWARE hive.
pub const APPLICATIONS: &str = r#"[X\Microsoft\Windows NT\CurrentVersion]
"SystemRoot"="D:\\Windows"
[X\Microsoft\Windows NT\CurrentVersion\ProfileList\S-1-5-21-1-2-3-1001]
"ProfileImagePath"=hex(2):25,00,53,00,79,00,73,00,74,00,65,00,6d,00,44,00,72,00,69,00,76,00,65,00,25,00,5c,00,55,00,73,00,65,00,72,00,73,00,5c,00,61,00,6e,00,6e,00,00,00
[X\Microsoft\Windows\CurrentVersion\Uninstall\AddressBook]
"Version"="1"
[X\Microsoft\Windows\CurrentVersion\Uninstall\{0D4E5F60-0000-0000-0000-000000000000}]
"DisplayName"="VMware Tools"
"DisplayVersion"="12.3.5"
"Publisher"="VMware, Inc."
"WindowsInstaller"=dword:00000001
"EstimatedSize"=dword:00000400
"UninstallString"="MsiExec.exe /I{0D4E5F60-0000-0000-0000-000000000000}"
[X\Wow6432Node\Microsoft\Windows\CurrentVersion\Uninstall\KAV]
"DisplayName"="Kaspersky Endpoint Security"
"SystemComponent"=dword:00000001
[X\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\Applications\Microsoft.WindowsStore_12107.1001.15.0_neutral_~_8wekyb3d8bbwe]
"Path"="C:\\x"
[X\Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\Package_for_KB4474419~31bf3856ad364e35~amd64~~6.1.3.2]
"CurrentState"=dword:00000070
"InstallTimeLow"=dword:3c9b4000
"InstallTimeHigh"=dword:01da6b04
[X\Microsoft\Windows NT\CurrentVersion\HotFix\KB912817]
"Installed"=dword:00000001
[X\Microsoft\Windows Defender]
"DisableAntiVirus"=dword:00000000
[X\Policies\Microsoft\Windows Defender]
"DisableAntiSpyware"=dword:00000001
"#;

/// An application of one user.
pub const USER: &str = r#"[X\Software\Microsoft\Windows\CurrentVersion\Uninstall\Editor]
"DisplayName"="An Editor"
"DisplayVersion"="1.0"
"#;

/// A Windows 11, in its SOFTWARE hive.
pub const ELEVEN: &str = r#"[X\Microsoft\Windows NT\CurrentVersion]
"ProductName"="Windows 10 Pro"
"EditionID"="Professional"
"InstallationType"="Client"
"CurrentVersion"="6.3"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"CurrentBuildNumber"="22631"
"UBR"=dword:00000bbf
"DisplayVersion"="23H2"
"InstallDate"=dword:65e07cc0
"InstallTime"=hex(b):00,40,9b,3c,04,6b,da,01
"RegisteredOwner"="Ann"
[X\Microsoft\Cryptography]
"MachineGuid"="01234567-89ab-cdef-0123-456789abcdef"
"#;

/// Services and drivers, in a SYSTEM hive.
pub const DRIVERS: &str = r#"[X\Select]
"Current"=dword:00000001
[X\ControlSet001\Services\Tcpip\Parameters]
"Hostname"="desk"
"Domain"="example.com"
[X\ControlSet001\Control\ComputerName\ComputerName]
"ComputerName"="DESK"
[X\ControlSet001\Control\Session Manager\Environment]
"PROCESSOR_ARCHITECTURE"="AMD64"
[X\ControlSet001\Control\CriticalDeviceDatabase\pci#ven_1af4&dev_1001]
"Service"="viostor"
[X\ControlSet001\Services\viostor]
"Type"=dword:00000001
"Start"=dword:00000000
"ErrorControl"=dword:00000001
"Group"="SCSI miniport"
"ImagePath"=hex(2):73,00,79,00,73,00,74,00,65,00,6d,00,33,00,32,00,5c,00,64,00,72,00,69,00,76,00,65,00,72,00,73,00,5c,00,76,00,69,00,6f,00,73,00,74,00,6f,00,72,00,2e,00,73,00,79,00,73,00,00,00
[X\ControlSet001\Services\viostor\StartOverride]
"0"=dword:00000003
[X\ControlSet001\Services\Gone]
"Type"=dword:00000002
"Start"=dword:00000001
[X\ControlSet001\Services\Spooler]
"Type"=dword:00000110
"Start"=dword:00000002
"DelayedAutostart"=dword:00000001
"DisplayName"="@%systemroot%\\system32\\spoolsv.exe,-1"
"ImagePath"="C:\\Windows\\System32\\spoolsv.exe -x"
"ObjectName"="LocalSystem"
"DependOnService"=hex(7):52,00,50,00,43,00,53,00,53,00,00,00,68,00,74,00,74,00,70,00,00,00,00,00
[X\ControlSet001\Services\Spooler\TriggerInfo\0]
"Type"=dword:00000001
[X\ControlSet001\Services\NoType]
"Start"=dword:00000002
[X\DriverDatabase\DriverInfFiles\oem3.inf]
"Active"="oem3.inf_amd64_0123456789abcdef"
[X\DriverDatabase\DeviceIds\PCI\VEN_1AF4&DEV_1001]
"oem3.inf"=hex:01,ff,00,00
[X\DriverDatabase\DriverPackages\oem3.inf_amd64_0123456789abcdef]
"Provider"="Red Hat, Inc."
[X\DriverDatabase\DriverPackages\oem3.inf_amd64_0123456789abcdef\Configurations\c]
"Service"="viostor"
"#;

/// Bytes as regedit writes them.
pub fn binary(kind: u32, bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("hex({kind:x}):{}", bytes.join(","))
}

/// Text in UTF-16, low bytes first.
pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// `S-1-5-21-1-2-3` and a last part, where there is one.
fn sid(rid: Option<u32>) -> Vec<u8> {
    let parts = [21, 1, 2, 3].into_iter().chain(rid);
    let count = if rid.is_some() { 5 } else { 4 };
    let mut bytes = vec![1, count, 0, 0, 0, 0, 0, 5];
    bytes.extend(parts.flat_map(u32::to_le_bytes));
    bytes
}

/// Texts behind a table of `len` bytes that has a pair of place and length for each at the offset that goes with it.
fn table(len: usize, texts: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, text) in texts {
        let place = [bytes.len() - len, text.len()].map(|n| u32::try_from(n).unwrap().to_le_bytes());
        bytes[*at..*at + 8].copy_from_slice(&place.concat());
        bytes.extend(text);
    }
    bytes
}

/// An account and the group of administrators it is in, in a SAM hive.
pub fn sam() -> String {
    let mut fixed = vec![0; 80];
    fixed[8..16].copy_from_slice(&0x01da_6b04_3c9b_4000_u64.to_le_bytes());
    fixed[56..58].copy_from_slice(&0x0210_u16.to_le_bytes());
    fixed[66..68].copy_from_slice(&7_u16.to_le_bytes());
    let variable = table(0xcc, &[(12, utf16("ann")), (24, utf16("Ann Author"))]);
    let alias = table(
        0x34,
        &[
            (16, utf16("Administrators")),
            (28, utf16("all rights")),
            (40, sid(Some(1001))),
        ],
    );
    let machine = [vec![0; 40], sid(None)].concat();
    format!(
        "[X\\SAM\\Domains\\Account]\n\"V\"={}\n[X\\SAM\\Domains\\Account\\Users\\000003E9]\n\"F\"={}\n\"V\"={}\n\
         [X\\SAM\\Domains\\Builtin\\Aliases\\00000220]\n\"C\"={}\n",
        binary(3, &machine),
        binary(3, &fixed),
        binary(3, &variable),
        binary(3, &alias),
    )
}

/// What the local security authority wrote down: the name of the domain or workgroup; of a domain, its name in DNS.
pub fn security(name: &str, domain: Option<&str>) -> String {
    let counted = |text: &str| {
        let len = u16::try_from(text.len() * 2).unwrap();
        let head = [len.to_le_bytes(), (len + 2).to_le_bytes(), [8, 0], [0, 0]].concat();
        binary(0, &[head, utf16(text), vec![0, 0]].concat())
    };
    format!(
        "[X\\Policy\\PolPrDmN]\n@={}\n[X\\Policy\\PolPrDmS]\n@={}\n[X\\Policy\\PolDnDDN]\n@={}\n",
        counted(name),
        binary(0, &domain.map(|_| sid(None)).unwrap_or_default()),
        domain.map_or_else(|| binary(0, &[]), counted),
    )
}

/// A store of a UEFI machine: the boot manager, and a Windows on that partition of that disk, whose identifiers stand
/// as on a disk.
pub fn bcd(disk: [u8; 16], partition: [u8; 16]) -> String {
    let objects = "X\\Objects";
    let (manager, windows) = (
        "{9dea862c-5cdd-4e70-acc1-f32b344d4795}",
        "{11111111-1111-1111-1111-111111111111}",
    );
    let mut device = vec![0; 0x58];
    device[0x10] = 6;
    device[0x18] = 0x48;
    device[0x20..0x30].copy_from_slice(&partition);
    device[0x38..0x48].copy_from_slice(&disk);
    let device = binary(3, &device);
    format!(
        r#"[{objects}\{manager}\Description]
"Type"=dword:10100002
[{objects}\{manager}\Elements\12000002]
"Element"="\\EFI\\Microsoft\\Boot\\bootmgfw.efi"
[{objects}\{manager}\Elements\23000003]
"Element"="{windows}"
[{objects}\{manager}\Elements\24000001]
"Element"={order}
[{objects}\{manager}\Elements\25000004]
"Element"=hex:1e,00,00,00,00,00,00,00
[{objects}\{windows}\Description]
"Type"=dword:10200003
[{objects}\{windows}\Elements\11000001]
"Element"={device}
[{objects}\{windows}\Elements\12000002]
"Element"="\\Windows\\system32\\winload.efi"
[{objects}\{windows}\Elements\12000004]
"Element"="Windows Server"
[{objects}\{windows}\Elements\16000049]
"Element"=hex:01
[{objects}\{windows}\Elements\21000001]
"Element"={device}
[{objects}\{windows}\Elements\22000002]
"Element"="\\Windows"
"#,
        order = many(&[windows]),
    )
}
