# Homebrew formula. `packaging/recipes` fills in what changes with a release.
class Keypulse < Formula
  desc "Watches Apple app-specific passwords for iCloud Mail"
  homepage "https://example.org/keypulse"
  url "https://example.org/keypulse/keypulse-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    system bin/"keypulse", "man", "--dir", man
    generate_completions_from_executable(bin/"keypulse", "completions")
    (share/"keypulse").install "config.example.toml"
  end

  def caveats
    <<~EOS
      Begin with `keypulse setup`. It asks whether to install the service; `brew services start keypulse` is the
      other way to run it, not one more.
    EOS
  end

  # As in launchd/keypulse.plist, as far as Homebrew has words for it.
  service do
    run [opt_bin/"keypulse", "run"]
    keep_alive successful_exit: false
    throttle_interval 60
    process_type :background
    log_path var/"log/keypulse.log"
    error_log_path var/"log/keypulse.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/keypulse --version")
    # 3: there is no configuration yet.
    assert_match "keypulse setup", shell_output("#{bin}/keypulse status 2>&1", 3)
  end
end
