from django.db import migrations


def keep_what_people_do(apps, _schema_editor):
    """Who had the right to review by themselves, or by a group of the operator's own, has the new one too; of the role
    `reviewer` those who have made a release or taken a file of one get the role `engineer`."""
    permissions, groups = apps.get_model("auth", "Permission"), apps.get_model("auth", "Group")
    users = apps.get_model("accounts", "User")
    release_type, _is_new = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="feedback", model="release"
    )
    may_release, _is_new = permissions.objects.get_or_create(
        content_type=release_type, codename="release", defaults={"name": "Can make and download releases"}
    )
    may_review = permissions.objects.filter(content_type__app_label="feedback", codename="review")
    may_review.update(name="Can review ratings")
    for holder in users.objects.filter(user_permissions__in=may_review):
        holder.user_permissions.add(may_release)
    for holder in groups.objects.filter(permissions__in=may_review).exclude(name="reviewer"):
        holder.permissions.add(may_release)
    used = [
        *apps.get_model("feedback", "Release").objects.values_list("made_by", flat=True),
        *apps.get_model("feedback", "ReleaseDownload").objects.values_list("user", flat=True),
    ]
    engineers = users.objects.filter(groups__name="reviewer", pk__in={pk for pk in used if pk})
    if engineers.exists():
        role, _is_new = groups.objects.get_or_create(name="engineer")
        role.permissions.add(may_release)
        role.user_set.add(*engineers)


class Migration(migrations.Migration):

    dependencies = [
        ('feedback', '0025_why_words_leave'),
        ('accounts', '0011_names_for_webhooks'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='rating',
            options={'permissions': [('review', 'Can review ratings'), ('adjudicate', 'Can decide what was escalated and make gold items')], 'verbose_name': 'rating', 'verbose_name_plural': 'ratings'},
        ),
        migrations.AlterModelOptions(
            name='release',
            options={'ordering': ['-created_at'], 'permissions': [('release', 'Can make and download releases')], 'verbose_name': 'release', 'verbose_name_plural': 'releases'},
        ),
        migrations.RunPython(keep_what_people_do, migrations.RunPython.noop),
    ]
