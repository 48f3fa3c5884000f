export interface TemplateAnswers {
  /** The site's name. */
  readonly name: string;
  /** The folder that backups go to. */
  readonly storagePath: string;
  /** The file that holds the key. */
  readonly keyFile: string;
}

/** The commented configuration that `backupctl init` writes. */
export function configTemplate(answers: TemplateAnswers): string {
  return `# The configuration of backupctl. Check it with \`backupctl config validate\`; every option is explained in
# docs/configuration.md and shown in backup.config.example.yaml.
#
# \${NAME} and \${NAME:-default} take values from the environment. A password or key may also be given as
# password_file (a file that holds it) or password_command (a program that prints it).
version: 1
name: ${yamlText(answers.name)}
# Where days, weeks and months begin.
timezone: UTC

# Where backups are kept. Best on another disk than the data.
storages:
  main:
    type: local
    path: ${yamlText(answers.storagePath)}

# Everything is sealed with this key before it leaves the program. Without it no backup can be read:
# keep a copy of the file somewhere else, away from this host and from the backups.
encryption:
  keys:
    main:
      provider: local
      key_file: ${yamlText(answers.keyFile)}

# What is backed up. Remove the # where it fits.
sources:
#  app:
#    engine: postgres
#    host: localhost
#    user: backup
#    password_file: /etc/backupctl/postgres-password
#    database: app
#  data:
#    engine: sqlite
#    path: /srv/app/data/app.db
#  uploads:
#    engine: files
#    paths: [/srv/www/uploads]
#    exclude: ["*.tmp", "/cache/"]
#    category: uploads
#  settings:
#    engine: command
#    command: [/srv/app/bin/export-settings, --json]
#    restore_command: [/srv/app/bin/import-settings]
#  environment:
#    engine: environment
#    variables: [APP_*, DATABASE_URL]

# How long backups of each class are kept: until then \`backupctl delete\` refuses.
retention:
  incremental: 7d
  daily: 30d
  weekly: 12w
  monthly: 12mo
#  yearly: 7y
`;
}

/** JSON strings are YAML strings; a plain \${ must not be taken for a variable. */
function yamlText(text: string): string {
  return /^[A-Za-z0-9/][A-Za-z0-9/_.-]*$/.test(text) ? text : JSON.stringify(text.replaceAll("${", () => "$${"));
}
