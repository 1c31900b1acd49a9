"""Words can be marked as wrong without saying what would be right."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("feedback", "0029_sizes_of_texts")]

    operations = [
        migrations.RemoveConstraint(model_name="correction", name="correction_says_what_is_right"),
        migrations.AlterField(
            model_name="correction",
            name="right_text",
            field=models.TextField(blank=True, help_text="Empty: the words are wrong, and no more is said."),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(name="correction_says_something", condition=~Q(quote="", right_text="")),
        ),
    ]
