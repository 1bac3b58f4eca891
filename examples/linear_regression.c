/* SPDX-License-Identifier: Apache-2.0
 *
 * Ordinary least squares with a model file, compatible with aprender's LinearRegression: the tensors
 * `coefficients` (F32, one a column) and `intercept` (F32 [1]).
 *
 *     linear_regression fit DATA MODEL        DATA: numbers, a row a line, the last column is what to predict
 *     linear_regression predict MODEL X...
 *
 * Build: cc linear_regression.c $(pkg-config --cflags --libs weightfs gsl)
 */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weightfs/weightfs.h>

#define COLUMNS_MAX    1000
#define LINE_MAX_BYTES 65536

struct model {
    size_t count; /* of coefficients */
    float coefficients[COLUMNS_MAX];
    float intercept;
};

struct table {
    size_t rows, columns; /* the last column is y */
    double *values;
};

/* --- the data ----------------------------------------------------------------------------------------- */

static size_t read_row(char *line, double *row)
{
    size_t count = 0;

    for (char *end = line; count <= COLUMNS_MAX; line = end) {
        double value = strtod(line, &end);
        if (end == line)
            return count;
        row[count++] = value;
    }
    return 0;
}

static int append_row(struct table *table, const double *row, size_t count)
{
    double *values = NULL;

    if (count < 2 || (table->rows > 0 && count != table->columns))
        return -1;
    table->columns = count;
    values = realloc(table->values, (table->rows + 1) * count * sizeof *values);
    if (!values)
        return -1;
    memcpy(values + table->rows * count, row, count * sizeof *row);
    table->values = values;
    table->rows++;
    return 0;
}

static int read_table(const char *path, struct table *table)
{
    static char line[LINE_MAX_BYTES];
    static double row[COLUMNS_MAX + 1];
    FILE *file = fopen(path, "r");
    int r = file ? 0 : -1;

    while (r == 0 && fgets(line, sizeof line, file))
        r = append_row(table, row, read_row(line, row));
    if (file)
        fclose(file);
    return r == 0 && table->rows >= table->columns ? 0 : -1;
}

/* --- the algebra -------------------------------------------------------------------------------------- */

/* Solves [1 X] (intercept, coefficients) = y in the least-squares sense, by singular values. */
static int fit(const struct table *table, struct model *model)
{
    size_t unknowns = table->columns;
    gsl_matrix *x = gsl_matrix_alloc(table->rows, unknowns);
    gsl_vector *y = gsl_vector_alloc(table->rows);
    gsl_vector *solution = gsl_vector_alloc(unknowns);
    gsl_matrix *covariance = gsl_matrix_alloc(unknowns, unknowns);
    gsl_multifit_linear_workspace *work = gsl_multifit_linear_alloc(table->rows, unknowns);
    double residual = 0;

    for (size_t i = 0; i < table->rows; i++) {
        const double *row = table->values + i * table->columns;
        gsl_matrix_set(x, i, 0, 1.0);
        for (size_t j = 0; j + 1 < unknowns; j++)
            gsl_matrix_set(x, i, j + 1, row[j]);
        gsl_vector_set(y, i, row[unknowns - 1]);
    }
    int r = gsl_multifit_linear(x, y, solution, covariance, &residual, work);
    model->count = unknowns - 1;
    model->intercept = (float)gsl_vector_get(solution, 0);
    for (size_t j = 0; j < model->count; j++)
        model->coefficients[j] = (float)gsl_vector_get(solution, j + 1);
    gsl_multifit_linear_free(work);
    gsl_matrix_free(covariance);
    gsl_vector_free(solution);
    gsl_vector_free(y);
    gsl_matrix_free(x);
    return r == GSL_SUCCESS ? 0 : -1;
}

static float predict(const struct model *model, const float *x)
{
    float y = model->intercept;

    for (size_t i = 0; i < model->count; i++)
        y += model->coefficients[i] * x[i];
    return y;
}

/* --- the model file ----------------------------------------------------------------------------------- */

static int save(const struct model *model, const char *path, struct wfs_error *err)
{
    const uint64_t count = model->count;
    const uint64_t one = 1;
    struct wfs_writer *writer = NULL;
    int r = wfs_writer_create(path, NULL, &writer, err);

    if (r == 0)
        r = wfs_writer_declare(writer, "coefficients", WFS_F32, 1, &count, err);
    if (r == 0)
        r = wfs_writer_declare(writer, "intercept", WFS_F32, 1, &one, err);
    if (r == 0)
        r = wfs_writer_append(writer, "coefficients", model->coefficients, model->count * sizeof(float), err);
    if (r == 0)
        r = wfs_writer_append(writer, "intercept", &model->intercept, sizeof(float), err);
    if (r == 0)
        r = wfs_writer_finish(writer, err);
    wfs_writer_close(writer);
    return r;
}

static int load_tensor(struct wfs_reader *reader, const char *name, float *values, size_t *count,
                       struct wfs_error *err)
{
    struct wfs_tensor tensor;
    int r = wfs_reader_find(reader, name, &tensor, err);

    if (r < 0)
        return r;
    uint64_t size = tensor.end - tensor.begin;
    if (tensor.dtype != WFS_F32 || size > *count * sizeof(float)) {
        snprintf(err->text, sizeof err->text, "tensor '%s': expected at most %zu values of F32", name,
                 *count);
        return -1;
    }
    *count = size / sizeof(float);
    return wfs_reader_read(reader, &tensor, 0, values, size, err);
}

static int load(struct model *model, const char *path, struct wfs_error *err)
{
    struct wfs_reader *reader = NULL;
    size_t one = 1;
    int r = wfs_reader_open(path, 0, &reader, err);

    model->count = COLUMNS_MAX;
    if (r == 0)
        r = load_tensor(reader, "coefficients", model->coefficients, &model->count, err);
    if (r == 0)
        r = load_tensor(reader, "intercept", &model->intercept, &one, err);
    wfs_reader_close(reader);
    return r;
}

/* --- the command -------------------------------------------------------------------------------------- */

static int run_fit(const char *data, const char *path, struct wfs_error *err)
{
    static struct model model;
    struct table table = {0, 0, NULL};
    int r = read_table(data, &table);

    if (r == 0)
        r = fit(&table, &model);
    if (r < 0)
        snprintf(err->text, sizeof err->text, "%s: is no table with more rows than columns", data);
    free(table.values);
    return r < 0 ? r : save(&model, path, err);
}

static int run_predict(const char *path, char **words, size_t count, struct wfs_error *err)
{
    static struct model model;
    static float x[COLUMNS_MAX];
    int r = load(&model, path, err);

    if (r < 0)
        return r;
    if (count != model.count) {
        snprintf(err->text, sizeof err->text, "%s: predicts from %zu numbers, not %zu", path, model.count,
                 count);
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        x[i] = strtof(words[i], NULL);
    printf("%.9g\n", predict(&model, x));
    return 0;
}

int main(int argc, char **argv)
{
    struct wfs_error err = {0};
    int r = -1;

    gsl_set_error_handler_off();
    if (argc == 4 && strcmp(argv[1], "fit") == 0)
        r = run_fit(argv[2], argv[3], &err);
    else if (argc > 3 && strcmp(argv[1], "predict") == 0)
        r = run_predict(argv[2], argv + 3, (size_t)argc - 3, &err);
    else
        snprintf(err.text, sizeof err.text, "usage: linear_regression fit DATA MODEL | predict MODEL X...");
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    return r < 0;
}
