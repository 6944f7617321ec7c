<#
.SYNOPSIS
Upgrades Go on this machine to @VERSION@. Written by `gofleet advise --write-script`.

.DESCRIPTION
The new version is unpacked beside the one in use, tried, and switched to by renaming folders; if
the second rename fails, the first is taken back. Windows refuses the first one while a program of
the old Go runs: then nothing has changed. For Windows PowerShell 5.1 and later.

  Root\Go           what is in use: let PATH name Root\Go\bin    [Root: Program Files]
  Root\Go-VERSION   the versions that are not in use; nothing is deleted
  Root\Go-previous  a file with the name of what was in use before: -Back puts it back

Exit codes: 0 done, or nothing to do; 1 something failed and Go is as it was; 2 wrong arguments;
3 the archive can't be had; 4 the archive is not what its digest says; 5 the new Go doesn't run;
6 there is no way back.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File upgrade-go.ps1 -WhatIf
#>
[CmdletBinding(SupportsShouldProcess = $true)]
param(
    # The folder that holds Go.
    [string] $Root = $env:ProgramFiles,
    # An archive that is here already.
    [string] $Archive = '',
    # Where to get it else.
    [string] $Url = '',
    # Its SHA-256.
    [string] $Sha256 = '',
    # Puts back what was in use before.
    [switch] $Back
)

Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
# A progress bar makes downloads many times slower in 5.1.
$ProgressPreference = 'SilentlyContinue'
$Version = '@VERSION@'

# Where the releases are, and their digests, as far as they are known.
$Known = @{
@KNOWN@
}

function Stop-Upgrade([int] $Code, [string] $Message) {
    [Console]::Error.WriteLine("upgrade-go: $Message")
    exit $Code
}

function Get-Platform {
    $architecture = $env:PROCESSOR_ARCHITECTURE
    if ($env:PROCESSOR_ARCHITEW6432) { $architecture = $env:PROCESSOR_ARCHITEW6432 }
    switch ($architecture) {
        'AMD64' { 'windows-amd64' }
        'ARM64' { 'windows-arm64' }
        'x86' { 'windows-386' }
        default { "windows-$architecture" }
    }
}

# The version of the Go in a folder; nothing if there is none that runs.
function Get-GoVersion([string] $Folder) {
    $go = Join-Path $Folder 'bin\go.exe'
    if (-not (Test-Path -LiteralPath $go -PathType Leaf)) { return '' }
    $saved = $env:GOTOOLCHAIN, $env:GOROOT
    try {
        $env:GOTOOLCHAIN = 'local'
        $env:GOROOT = $null
        $said = "$(& $go version)"
    } catch {
        return ''
    } finally {
        $env:GOTOOLCHAIN, $env:GOROOT = $saved
    }
    if ($said -match '^go version go(\S+)') { $Matches[1] } else { '' }
}

# Unpacks the archive below $Work, tries it, and gives it its name.
function Expand-Go([string] $Work, [string] $Target) {
    $file = $Archive
    if (-not $file) {
        if (-not $Url) { Stop-Upgrade 2 "no release of $Version for $(Get-Platform) is known: give -Url and -Sha256" }
        $file = Join-Path $Work 'archive.zip'
        try {
            [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
            Invoke-WebRequest -UseBasicParsing -Uri $Url -OutFile $file
        } catch {
            Stop-Upgrade 3 "$Url can't be downloaded: $($_.Exception.Message)"
        }
    }
    if (-not (Test-Path -LiteralPath $file -PathType Leaf)) { Stop-Upgrade 3 "$file can't be read" }
    # -ne does not tell upper and lower case apart.
    if ((Get-FileHash -LiteralPath $file -Algorithm SHA256).Hash -ne $Sha256) {
        Stop-Upgrade 4 "$file does not have the digest $Sha256"
    }
    $tree = Join-Path $Work 'tree'
    try {
        Add-Type -AssemblyName System.IO.Compression.FileSystem
        [IO.Compression.ZipFile]::ExtractToDirectory($file, $tree)
    } catch {
        Stop-Upgrade 3 "$file can't be unpacked: $($_.Exception.Message)"
    }
    $new = Join-Path $tree 'go'
    if ((Get-GoVersion $new) -ne $Version) { Stop-Upgrade 5 "the new Go is not $Version, or doesn't run" }
    [IO.Directory]::Move($new, $Target)
}

# Puts the folder $New in the place of what is in use, which gets the name $Kept.
function Switch-Go([string] $New, [string] $Kept) {
    $go = Join-Path $Root 'Go'
    $isMoved = $false
    try {
        if (Test-Path -LiteralPath $go) {
            [IO.Directory]::Move($go, $Kept)
            $isMoved = $true
        }
        [IO.Directory]::Move($New, $go)
    } catch {
        $message = $_.Exception.Message
        if ($isMoved -and -not (Test-Path -LiteralPath $go)) { [IO.Directory]::Move($Kept, $go) }
        Stop-Upgrade 1 "$go can't be switched: $message"
    }
}

function Update-Go([System.Management.Automation.PSCmdlet] $Caller) {
    $go = Join-Path $Root 'Go'
    $current = Get-GoVersion $go
    if ($current -eq $Version) {
        Write-Output "$go is $Version already"
        return
    }
    $platform = Get-Platform
    if ($Known.ContainsKey($platform)) {
        if (-not $Url) { $script:Url = $Known[$platform].Url }
        if (-not $Sha256) { $script:Sha256 = $Known[$platform].Sha256 }
    }
    $target = Join-Path $Root "Go-$Version"
    if (-not (Test-Path -LiteralPath $target) -and -not $Sha256) {
        Stop-Upgrade 2 "the digest of $Version for $platform is not known: give -Sha256"
    }
    $name = if ($current) { "Go-$current" } else { "Go-before-$Version" }
    $kept = Join-Path $Root $name
    if ((Test-Path -LiteralPath $go) -and (Test-Path -LiteralPath $kept)) { Stop-Upgrade 1 "$kept is in the way" }
    if (-not $Caller.ShouldProcess($go, "Switch to $Version")) { return }

    if (-not (Test-Path -LiteralPath $target)) {
        $work = Join-Path $Root ".upgrade-go-$PID"
        $null = New-Item -ItemType Directory -Path $work
        # `exit` leaves through `finally` too.
        try { Expand-Go $work $target } finally { Remove-Item -LiteralPath $work -Recurse -Force }
    }
    if ((Get-GoVersion $target) -ne $Version) { Stop-Upgrade 5 "$target doesn't run" }
    # What was in use is known before anything changes.
    if (Test-Path -LiteralPath $go) { [IO.File]::WriteAllText((Join-Path $Root 'Go-previous'), $name) }
    Switch-Go $target $kept
    Write-Output "$go is $Version now"
}

function Restore-Go([System.Management.Automation.PSCmdlet] $Caller) {
    $go = Join-Path $Root 'Go'
    $note = Join-Path $Root 'Go-previous'
    if (-not (Test-Path -LiteralPath $note -PathType Leaf)) { Stop-Upgrade 6 "$note doesn't say what was in use before" }
    $previous = Join-Path $Root ([IO.File]::ReadAllText($note).Trim())
    $earlier = Get-GoVersion $previous
    if (-not $earlier) { Stop-Upgrade 6 "$previous is no Go that runs" }
    $kept = Join-Path $Root "Go-$(Get-GoVersion $go)"
    if (Test-Path -LiteralPath $kept) { Stop-Upgrade 1 "$kept is in the way" }
    if (-not $Caller.ShouldProcess($go, "Switch back to $earlier")) { return }
    Switch-Go $previous $kept
    Remove-Item -LiteralPath $note
    Write-Output "$go is $earlier again"
}

if (-not (Test-Path -LiteralPath $Root -PathType Container)) { Stop-Upgrade 2 "$Root is no folder" }
# .NET has a current folder of its own: paths that it gets are whole.
$Root = (Resolve-Path -LiteralPath $Root).ProviderPath
if ($Archive) { $Archive = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Archive) }
try {
    if ($Back) { Restore-Go $PSCmdlet } else { Update-Go $PSCmdlet }
} catch {
    Stop-Upgrade 1 $_.Exception.Message
}
exit 0
