#!/bin/sh
# clone TEMPLATE NEW: another prefix in 2 MB rather than 770. Wine's own files are shared by hard
# links; what Wine or a program writes to is copied.
set -e
partial=$2.new.$$
rm -rf "$partial"
mkdir -p "$(dirname "$2")"
cp -al "$1" "$partial" 2>/dev/null || { rm -rf "$partial"; cp -a "$1" "$partial"; }
for file in "$partial"/*.reg "$partial"/.update-timestamp "$partial"/drive_c/windows/*.ini; do
  [ ! -f "$file" ] || cp -p --remove-destination "$1${file#"$partial"}" "$file"
done
for folder in users ProgramData windows/temp; do
  if [ -d "$1/drive_c/$folder" ]; then
    rm -rf "$partial/drive_c/$folder"
    cp -a "$1/drive_c/$folder" "$partial/drive_c/$folder"
  fi
done
mv "$partial" "$2"
